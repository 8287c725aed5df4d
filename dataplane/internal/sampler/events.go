package sampler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const onlineCPUs = "/sys/devices/system/cpu/online"

// Events are the perf events, one per CPU that is online, whose ticks run the sampler.
type Events struct {
	list    string // a file that names the CPUs that are online
	start   func(cpu int) (clock, error)
	clocks  map[int]clock
	refused map[int]error // last time

	// Numbers, for metrics: CPUs that tick now, events since the start.
	Ticking, Opened, Refused atomic.Int64
}

// clock is the event of one CPU.
type clock interface {
	// advanced is whether it has ticked on since it was asked last.
	advanced() bool
	stop()
}

// OpenEvents starts ticking at “hz“ on every CPU. It takes CAP_PERFMON.
func OpenEvents(program *ebpf.Program, hz uint32) (*Events, error) {
	events := newEvents(onlineCPUs, func(cpu int) (clock, error) {
		opened, err := open(cpu, hz)
		if err != nil {
			return nil, err
		}
		if err := attach(opened.file, program); err != nil {
			opened.stop()
			return nil, fmt.Errorf("CPU %d: %w", cpu, err)
		}
		return opened, nil
	})
	if err := events.Follow(); err != nil {
		return nil, err
	}
	return events, nil
}

func newEvents(list string, start func(int) (clock, error)) *Events {
	return &Events{list: list, start: start, clocks: map[int]clock{}}
}

// Follow has those CPUs tick that are online now. The event of one that went offline never ticks again, even when its CPU
// is back before anybody looks: then it stands still. A refusal is an error where no CPU ticks; else it is counted, said
// once, and tried again each time.
func (e *Events) Follow() error {
	online, err := readCPUs(e.list)
	if err != nil {
		return err
	}
	var gone, added []int
	for cpu, each := range e.clocks {
		if !slices.Contains(online, cpu) || !each.advanced() {
			each.stop()
			delete(e.clocks, cpu)
			gone = append(gone, cpu)
		}
	}
	refused := map[int]error{}
	for _, cpu := range online {
		if e.clocks[cpu] != nil {
			continue
		}
		if started, err := e.start(cpu); err != nil {
			refused[cpu] = err
		} else {
			e.clocks[cpu] = started
			added = append(added, cpu)
		}
	}
	e.Ticking.Store(int64(len(e.clocks)))
	e.Opened.Add(int64(len(added)))
	e.Refused.Add(int64(len(refused)))
	if len(e.clocks) == 0 {
		return refused[online[0]]
	}
	e.say(gone, added, refused)
	return nil
}

func (e *Events) say(gone, added []int, refused map[int]error) {
	if len(gone)+len(added) > 0 {
		slog.Info("CPUs that are sampled", "number", len(e.clocks), "gone", gone, "added", added)
	}
	for cpu, err := range refused {
		if e.refused[cpu] == nil {
			slog.Error("a CPU is not sampled", "cpu", cpu, "err", err)
		}
	}
	e.refused = refused
}

// Close ends the sampling.
func (e *Events) Close() {
	for _, each := range e.clocks {
		each.stop()
	}
	clear(e.clocks)
	e.Ticking.Store(0)
}

// perfEvent is one of the kernel's.
type perfEvent struct {
	file    int
	enabled uint64 // nanoseconds, when it was asked last
}

func open(cpu int, hz uint32) (*perfEvent, error) {
	file, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_SOFTWARE,
		Config: unix.PERF_COUNT_SW_CPU_CLOCK,
		Sample: uint64(hz),
		// An idle CPU has nothing to be sampled.
		Bits:        unix.PerfBitFreq | unix.PerfBitDisabled | unix.PerfBitExcludeIdle,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED,
	}, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	switch {
	case err == nil:
		return &perfEvent{file: file}, nil
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("open a perf event on CPU %d: %w. CAP_PERFMON is not effective, or it is that of a user "+
			"namespace (hostUsers), or the kernel asks for more (kernel.perf_event_paranoid above 2)", cpu, err)
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("open a perf event on CPU %d: %w. The seccomp profile lets perf_event_open not through", cpu, err)
	}
	return nil, fmt.Errorf("open a perf event on CPU %d: %w", cpu, err)
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

// advanced asks for how long it was enabled, which goes on while the CPU is idle as well.
func (p *perfEvent) advanced() bool {
	var said [16]byte // its count, and that time
	if n, err := unix.Read(p.file, said[:]); err != nil || n != len(said) {
		return false
	}
	before := p.enabled
	p.enabled = binary.NativeEndian.Uint64(said[8:])
	return p.enabled > before
}

func (p *perfEvent) stop() { unix.Close(p.file) }

func readCPUs(list string) ([]int, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	cpus, err := parseCPUs(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", list, err)
	}
	return cpus, nil
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
