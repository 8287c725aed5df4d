// Package offcpu is the agent's side of the BPF program that counts blocked time: it says whose, and from which length of
// waits on all of them are taken, so that it costs no more than it may.
package offcpu

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/bpfmap"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/sampler"
)

// OffCPU reads and steers the BPF program through its maps. It takes no capability. On kernels before 6.10 it is nil, and
// does nothing when it is asked.
type OffCPU struct {
	control, counts, stacks, outcomes *ebpf.Map
	asking                            *ebpf.Map
	asked                             *bpfmap.Mirror[uint64, bpf.All]
	asks                              []uint64
	ledger                            ledger

	told      bpf.OffTold
	threshold threshold
}

// New takes over what the pins hold: the sums of an agent before this one are dropped, since it is not known over what
// time they were gathered, nor whose they were.
func New(opened *pins.Pins, cpus int) (*OffCPU, error) {
	asked, err := bpfmap.NewMirror[uint64, bpf.All](opened.Maps[bpf.OffAsked])
	if err != nil {
		return nil, fmt.Errorf("read who asks for off-CPU time: %w", err)
	}
	o := &OffCPU{
		control: opened.Maps[bpf.OffControl], counts: opened.Maps[bpf.OffCounts], stacks: opened.Maps[bpf.OffStacks],
		outcomes: opened.Maps[bpf.OffOutcomes], asked: asked, asking: opened.Maps[bpf.OffAsked], ledger: ledger{},
	}
	if err := o.Ask(nil); err != nil {
		return nil, err
	}
	if _, err := o.Drain(); err != nil {
		return nil, err
	}
	taken, err := o.taken()
	o.threshold = begin(cpus, taken)
	return o, err
}

// taken is how many stacks were, whole or in part.
func (o *OffCPU) taken() (uint64, error) {
	whole, err := bpfmap.Sum(o.outcomes, bpf.OffTaken)
	late, other := bpfmap.Sum(o.outcomes, bpf.OffLate)
	if err = errors.Join(err, other); err != nil {
		return 0, fmt.Errorf("read the outcomes of off-CPU time: %w", err)
	}
	return whole + late, nil
}

// Ask says whose waits are counted: the cgroups, and all that lie below them.
func (o *OffCPU) Ask(cgroups []uint64) error {
	if o == nil {
		return nil
	}
	wanted := make(map[uint64]bpf.All, len(cgroups))
	for _, cgroup := range cgroups {
		wanted[cgroup] = bpf.All{}
	}
	if err := o.asked.Set(wanted); err != nil {
		return fmt.Errorf("ask for off-CPU time: %w", err)
	}
	o.asks = cgroups
	return nil
}

// Beat keeps the program going for so long, if anybody asks. Nothing is taken once it is over, whether the agent lives
// or not.
func (o *OffCPU) Beat(long time.Duration) error {
	if o == nil {
		return nil
	}
	var clock unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock); err != nil {
		return err
	}
	taken, err := o.taken()
	if err != nil {
		return err
	}
	now := uint64(clock.Nano())
	next := bpf.OffTold{Since: o.told.Since, Threshold: o.threshold.adapt(taken, now)}
	if now > o.told.Until {
		next.Since = now
	}
	if len(o.asks) > 0 {
		next.Until = now + uint64(long.Nanoseconds())
	}
	if err := o.control.Put(uint32(0), next); err != nil {
		return fmt.Errorf("heartbeat of off-CPU time: %w", err)
	}
	o.told = next
	return nil
}

// Drain takes all sums out of the kernel. What they say of the stacks is brought to the time that was really waited.
func (o *OffCPU) Drain() ([]sampler.Count, error) {
	var taken []entry
	err := bpfmap.Drain(o.counts, func(key bpf.Block, sum bpf.Blocked) { taken = append(taken, entry{key, sum}) })
	if err != nil {
		return nil, fmt.Errorf("read the sums of off-CPU time: %w", err)
	}
	all := make(map[uint64]bpf.All, len(o.asks)) // after the sums: what is in them is in these
	for _, cgroup := range o.asks {
		var read bpf.All
		if err := o.asking.Lookup(cgroup, &read); err != nil {
			return nil, fmt.Errorf("read the off-CPU time of cgroup %d: %w", cgroup, err)
		}
		all[cgroup] = read
	}
	return o.ledger.settle(taken, all), nil
}

// End lets the next Drain tell of all time, whether a stack is known for it or not.
func (o *OffCPU) End() {
	if o != nil {
		o.ledger.ends = true
	}
}

// Stack reads the addresses of a stack, innermost first; false where it has been evicted since.
func (o *OffCPU) Stack(key uint64) ([]uint64, bool) { return bpf.StackOf(o.stacks, key) }

// Threshold is the length of waits from which on all are taken, as the program was told last.
func (o *OffCPU) Threshold() (time.Duration, error) {
	var told bpf.OffTold
	err := o.control.Lookup(uint32(0), &told)
	return time.Duration(told.Threshold), err
}
