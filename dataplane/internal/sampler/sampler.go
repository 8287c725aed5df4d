package sampler

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

const batch = 1024

// Sampler reads and steers the BPF sampler through its maps. It takes no capability.
type Sampler struct {
	control, rates, counts, stacks, outcomes *ebpf.Map
	baseHz                                   uint32
	set                                      map[uint64]uint32 // what the map of rates holds
}

// New takes over what the pins hold: counts and rates of an agent before this one are dropped, since it is not known
// over what time they were gathered, nor whose they were.
func New(opened *pins.Pins, baseHz uint32) (*Sampler, error) {
	s := &Sampler{
		control: opened.Maps[bpf.Control], rates: opened.Maps[bpf.Rates], counts: opened.Maps[bpf.Counts],
		stacks: opened.Maps[bpf.Stacks], outcomes: opened.Maps[bpf.Outcomes], baseHz: baseHz, set: map[uint64]uint32{},
	}
	var cgroup uint64
	var hz uint32
	for entries := s.rates.Iterate(); entries.Next(&cgroup, &hz); {
		s.set[cgroup] = hz
	}
	if err := s.SetRates(nil); err != nil {
		return nil, err
	}
	_, err := s.Drain()
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
	for cgroup, hz := range wanted {
		if was, ok := s.set[cgroup]; ok && was == hz {
			continue
		}
		if err := s.rates.Put(cgroup, hz); err != nil {
			return fmt.Errorf("rate of cgroup %d: %w", cgroup, err)
		}
		s.set[cgroup] = hz
	}
	for cgroup := range maps.Clone(s.set) {
		if _, ok := wanted[cgroup]; ok {
			continue
		}
		if err := s.rates.Delete(cgroup); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("rate of cgroup %d: %w", cgroup, err)
		}
		delete(s.set, cgroup)
	}
	return nil
}

// Count is how often one stack of one process was seen.
type Count struct {
	bpf.Sample
	Number uint64
}

// CPU is the time that a count stands for.
func (c Count) CPU() time.Duration {
	return time.Duration(c.Number) * time.Second / time.Duration(max(c.Hz, 1))
}

// Drain takes all counts out of the kernel.
func (s *Sampler) Drain() ([]Count, error) {
	var (
		found  []Count
		cursor ebpf.MapBatchCursor
		keys   = make([]bpf.Sample, batch)
		values = make([]uint64, batch)
	)
	for {
		read, err := s.counts.BatchLookupAndDelete(&cursor, keys, values, nil)
		for i := range read {
			found = append(found, Count{keys[i], values[i]})
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("read the counts: %w", err)
		}
	}
}

// Stack reads the addresses of a stack, innermost first; false where it has been evicted since.
func (s *Sampler) Stack(key uint64) ([]uint64, bool) {
	var stack bpf.Stack
	if err := s.stacks.Lookup(key, &stack); err != nil {
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
		var each []uint64
		if err := s.outcomes.Lookup(index, &each); err != nil {
			return o, fmt.Errorf("read the outcomes: %w", err)
		}
		for _, number := range each {
			*into += number
		}
	}
	return o, nil
}
