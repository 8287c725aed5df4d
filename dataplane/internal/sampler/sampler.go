package sampler

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/bpfmap"
	"flameplane.dev/dataplane/internal/pins"
)

// Sampler reads and steers the BPF sampler through its maps. It takes no capability.
type Sampler struct {
	control, counts, stacks, outcomes *ebpf.Map
	placed                            *ebpf.Map // on older kernels
	rates                             *bpfmap.Mirror[uint64, uint32]
	baseHz                            uint32
}

// New takes over what the pins hold: counts and rates of an agent before this one are dropped, since it is not known
// over what time they were gathered, nor whose they were.
func New(opened *pins.Pins, baseHz uint32) (*Sampler, error) {
	rates, err := bpfmap.NewMirror[uint64, uint32](opened.Maps[bpf.Rates])
	if err != nil {
		return nil, fmt.Errorf("read the rates of cgroups: %w", err)
	}
	s := &Sampler{
		control: opened.Maps[bpf.Control], counts: opened.Maps[bpf.Counts], stacks: opened.Maps[bpf.Stacks],
		placed: opened.Maps[bpf.Placed], outcomes: opened.Maps[bpf.Outcomes], rates: rates, baseHz: baseHz,
	}
	if err := s.SetRates(nil); err != nil {
		return nil, err
	}
	_, err = s.Drain()
	return s, err
}

// Beat keeps the sampler going for so long. Nothing is sampled once it is over, whether the agent lives or not.
func (s *Sampler) Beat(long time.Duration) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	told := bpf.Told{Until: uint64(now.Nano() + long.Nanoseconds()), BaseHz: s.baseHz}
	if err := s.control.Put(uint32(0), told); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// SetRates says how often each cgroup is sampled, 0 for never. The entry of cgroup 0 is for all that are not named.
func (s *Sampler) SetRates(wanted map[uint64]uint32) error {
	if err := s.rates.Set(wanted); err != nil {
		return fmt.Errorf("rates of cgroups: %w", err)
	}
	return nil
}

// Count is how often one stack of one process was seen.
type Count struct {
	bpf.Sample
	Number  uint64
	Blocked time.Duration // that waits stand for; samples of the clock have a rate instead
}

// Time is what a count stands for.
func (c Count) Time() time.Duration {
	if c.Hz == 0 {
		return c.Blocked
	}
	return time.Duration(c.Number) * time.Second / time.Duration(c.Hz)
}

// Drain takes all counts out of the kernel.
func (s *Sampler) Drain() ([]Count, error) {
	var found []Count
	err := bpfmap.Drain(s.counts, func(key bpf.Sample, number uint64) {
		found = append(found, Count{Sample: key, Number: number})
	})
	if err != nil {
		return found, fmt.Errorf("read the counts: %w", err)
	}
	return found, nil
}

// Stack reads the addresses of a stack, innermost first; false where it has been evicted since.
func (s *Sampler) Stack(key uint64) ([]uint64, bool) {
	return bpf.StackOf(s.stacks, key)
}

// Places reads a program's stack on an older kernel, innermost first; false where it has been evicted since.
func (s *Sampler) Places(key uint64) ([]bpf.Place, bool) {
	var stack bpf.PlacedStack
	if err := s.placed.Lookup(key, &stack); err != nil {
		return nil, false
	}
	return stack.Frames[:min(stack.Depth, bpf.Depth)], true
}

// Outcomes are the numbers of ticks since the programs were loaded, by what became of them.
type Outcomes struct{ Kept, Stale, Off, Thinned, LostCount, LostStack, Truncated uint64 }

// Outcomes reads the counters of all CPUs.
func (s *Sampler) Outcomes() (Outcomes, error) {
	var o Outcomes
	for index, into := range map[uint32]*uint64{
		bpf.Kept: &o.Kept, bpf.Stale: &o.Stale, bpf.Off: &o.Off, bpf.Thinned: &o.Thinned,
		bpf.LostCount: &o.LostCount, bpf.LostStack: &o.LostStack, bpf.Truncated: &o.Truncated,
	} {
		number, err := bpfmap.Sum(s.outcomes, index)
		if err != nil {
			return o, fmt.Errorf("read the outcomes: %w", err)
		}
		*into = number
	}
	return o, nil
}
