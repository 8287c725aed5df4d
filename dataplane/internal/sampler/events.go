// Package sampler is the agent's side of the BPF sampler: it makes the clock tick, says whom to sample, and counts.
package sampler

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const onlineCPUs = "/sys/devices/system/cpu/online"

// Events are the perf events, one per CPU, whose ticks run the sampler.
type Events struct{ files []int }

// OpenEvents starts ticking at “hz“ on every CPU. It takes CAP_PERFMON.
func OpenEvents(program *ebpf.Program, hz uint32) (*Events, error) {
	text, err := os.ReadFile(onlineCPUs)
	if err != nil {
		return nil, err
	}
	cpus, err := parseCPUs(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", onlineCPUs, err)
	}
	events := &Events{}
	for _, cpu := range cpus {
		file, err := open(cpu, hz)
		if err == nil {
			events.files = append(events.files, file)
			err = attach(file, program)
		}
		if err != nil {
			events.Close()
			return nil, err
		}
	}
	return events, nil
}

func open(cpu int, hz uint32) (int, error) {
	file, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_SOFTWARE,
		Config: unix.PERF_COUNT_SW_CPU_CLOCK,
		Sample: uint64(hz),
		// An idle CPU has nothing to be sampled.
		Bits: unix.PerfBitFreq | unix.PerfBitDisabled | unix.PerfBitExcludeIdle,
	}, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, unix.EACCES):
		return 0, fmt.Errorf("open a perf event on CPU %d: %w. CAP_PERFMON is not effective, or it is that of a user "+
			"namespace (hostUsers), or the kernel asks for more (kernel.perf_event_paranoid above 2)", cpu, err)
	case errors.Is(err, unix.EPERM):
		return 0, fmt.Errorf("open a perf event on CPU %d: %w. The seccomp profile lets perf_event_open not through", cpu, err)
	}
	return 0, fmt.Errorf("open a perf event on CPU %d: %w", cpu, err)
}

func attach(file int, program *ebpf.Program) error {
	if err := unix.IoctlSetInt(file, unix.PERF_EVENT_IOC_SET_BPF, program.FD()); err != nil {
		return fmt.Errorf("attach the sampler: %w", err)
	}
	if err := unix.IoctlSetInt(file, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("start the sampler: %w", err)
	}
	return nil
}

// Close ends the sampling.
func (e *Events) Close() {
	for _, file := range e.files {
		unix.Close(file)
	}
	e.files = nil
}

// parseCPUs reads the kernel's lists: "0-3,8".
func parseCPUs(text string) ([]int, error) {
	var found []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || last < first {
			return nil, fmt.Errorf("%q is no list of CPUs", text)
		}
		for cpu := first; cpu <= last; cpu++ {
			found = append(found, int(cpu))
		}
	}
	return found, nil
}
