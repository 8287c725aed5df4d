package offcpu

import (
	"fmt"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/bpfmap"
)

// names of what became of the waits of threads.
var names = map[string]uint32{
	"kept": bpf.OffKept, "taken": bpf.OffTaken, "late": bpf.OffLate, "left_out": bpf.OffLeftOut, "off": bpf.OffOff, "stale": bpf.OffStale,
	"lost_state": bpf.OffLostState, "lost_count": bpf.OffLostCount, "lost_stack": bpf.OffLostStack,
	"truncated": bpf.OffTruncated,
}

// Outcomes are the numbers of waits since the program was loaded, by what became of them.
func (o *OffCPU) Outcomes() (map[string]uint64, error) {
	found := map[string]uint64{}
	for name, index := range names {
		number, err := bpfmap.Sum(o.outcomes, index)
		if err != nil {
			return nil, fmt.Errorf("read the outcomes of off-CPU time: %w", err)
		}
		found[name] = number
	}
	return found, nil
}
