package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/capability"
	"flameplane.dev/dataplane/internal/collect"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/kernelsymbols"
	"flameplane.dev/dataplane/internal/offcpu"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/preflight"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/python"
	"flameplane.dev/dataplane/internal/sampler"
	"flameplane.dev/dataplane/internal/symbols"
)

const (
	beats   = 10 // readings after which an agent that hangs is sampling no more
	endTime = 20 * time.Second
	healthy = time.Minute
)

// The profiles, as backends know them.
const (
	onCPU  = "process_cpu"
	offCPU = "off_cpu"
)

// pinnedNode asks the pinned iterators.
type pinnedNode struct{ opened *pins.Pins }

func (n pinnedNode) Tasks() ([]process.Task, error) { return process.Tasks(n.opened) }

func (n pinnedNode) Spaces(wanted []process.ID) (map[process.ID]process.Space, error) {
	return process.Spaces(n.opened, wanted)
}

// agent is all that the loop holds.
type agent struct {
	options   options
	sampler   *sampler.Sampler
	offCPU    *offcpu.OffCPU // nil on an older kernel
	met       *process.Met   // nil but on one
	collector *collect.Collector
	node      *identity.Node
	output    output
	baseHz    uint32
	last      atomic.Int64 // when the loop last came round
}

// memoryGoal is for the garbage collector: the container has 128 MiB, of which its program's file takes some 34.
const memoryGoal = 56 << 20

func run(ctx context.Context, o options) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	here, err := ready(preflight.BPF, preflight.Perf)
	if err != nil {
		return err
	}
	if err := capability.Raise(unix.CAP_PERFMON, "cap_perfmon"); err != nil {
		return err
	}
	declared, err := identity.ReadDeclared(o.services)
	if err != nil {
		return err
	}
	opened, err := pins.Open(o.pins)
	if err != nil {
		return here.Explain(err)
	}
	defer opened.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counts, err := sampler.New(opened, declared.BaseHz)
	if err != nil {
		return err
	}
	a := &agent{options: o, sampler: counts, node: identity.NewNode(o.node, declared), baseHz: declared.BaseHz}
	if opened.Older() {
		slog.Warn("code has no names but build ids, and there is no off-CPU time: that takes Linux 6.10", "kernel", here.Release)
		a.collectPlaces(opened, registry)
	} else if err := a.collectAll(opened, registry); err != nil {
		return err
	}
	if a.output, err = newOutput(ctx, o, a.node, registry); err != nil {
		return err
	}
	a.last.Store(time.Now().UnixNano())
	failed := make(chan error, 1)
	server := &http.Server{Addr: o.metrics, Handler: a.status(registry), ReadHeaderTimeout: 10 * time.Second}
	go func() { failed <- server.ListenAndServe() }()
	defer server.Close()

	events, err := sampler.OpenEvents(opened.Programs[bpf.OnCPU], declared.BaseHz)
	if err != nil {
		return here.Explain(err)
	}
	defer events.Close()
	registerEvents(registry, events)
	slog.Info("sampling", "hz", declared.BaseHz)
	return a.loop(ctx, declared, events, failed)
}

// collectAll is what there is from Linux 6.10 on.
func (a *agent) collectAll(opened *pins.Pins, registry prometheus.Registerer) (err error) {
	if a.offCPU, err = offcpu.New(opened, runtime.NumCPU()); err != nil {
		return err
	}
	functions, err := python.New(opened)
	if err != nil {
		return err
	}
	registry.MustRegister(&fromKernel{a.sampler, a.offCPU, functions, opened, a.node, a.options.node})
	kinds := []collect.Kind{
		a.onCPU(), {Name: offCPU, Counts: a.offCPU, New: a.options.naming(cpuprofile.NewOffCPU), Below: "__schedule"},
	}
	a.collector = collect.New(kinds, pinnedNode{opened}, known(opened), functions, collect.NewMetrics(registry), time.Now())
	return nil
}

// collectPlaces is what there is before.
func (a *agent) collectPlaces(opened *pins.Pins, registry prometheus.Registerer) {
	registry.MustRegister(&fromKernel{counts: a.sampler, opened: opened, known: a.node, node: a.options.node})
	kind := a.onCPU()
	kind.Places = a.sampler.Places
	a.met = process.NewMet(opened)
	a.collector = collect.New([]collect.Kind{kind}, a.met, known(opened), nil, collect.NewMetrics(registry), time.Now())
}

func (a *agent) onCPU() collect.Kind {
	builder := func() *cpuprofile.Builder { return cpuprofile.New(a.baseHz) }
	return collect.Kind{Name: onCPU, Counts: a.sampler, New: a.options.naming(builder)}
}

// known are the kernel's names; without them its frames have addresses.
func known(opened *pins.Pins) *symbols.Symbols {
	memory := func(id process.ID) io.ReaderAt { return process.MemoryOf(opened, id) }
	names, err := kernelsymbols.Read(opened)
	if err != nil {
		slog.Warn("kernel functions have no names", "err", err)
		return symbols.New(nil, memory)
	}
	return symbols.New(names, memory)
}

func (a *agent) loop(ctx context.Context, declared *identity.Declared, events *sampler.Events, failed <-chan error) error {
	tick := time.NewTicker(a.options.read)
	defer tick.Stop()
	follow := identity.NewFollower(a.options.services, declared)
	next := time.Now().Add(a.options.every)
	for {
		if err := events.Follow(); err != nil {
			return err
		}
		if err := a.turn(); err != nil {
			return err
		}
		if changed := follow.Look(); changed != nil {
			a.node.Declare(changed)
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(a.options.every)
			if err := a.flush(now); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			events.Close() // nothing is sampled that nobody sends
			return a.end()
		case err := <-failed:
			return fmt.Errorf("serve %s: %w", a.options.metrics, err)
		case <-tick.C:
		}
	}
}

// turn reads once, and keeps the sampler going. The processes are listed each time, so that a new pod soon has its rate.
func (a *agent) turn() error {
	tasks, err := a.collector.Tasks()
	if err != nil {
		return err
	}
	told := a.node.Told(process.CgroupsOf(tasks))
	if a.options.folder != "" {
		told = identity.Told{Rates: map[uint64]uint32{0: a.baseHz}} // no API server that would say what to leave out
	}
	if err := errors.Join(a.sampler.SetRates(told.Rates), a.offCPU.Ask(told.OffCPU)); err != nil {
		return err
	}
	if a.met != nil {
		if err := a.met.Decided(); err != nil {
			return err
		}
	}
	if err := errors.Join(a.sampler.Beat(beats*a.options.read), a.offCPU.Beat(beats*a.options.read)); err != nil {
		return err
	}
	if err := a.collector.Read(); err != nil {
		return err
	}
	a.last.Store(time.Now().UnixNano())
	return nil
}

func (a *agent) flush(now time.Time) error {
	groups, err := a.collector.Flush(now)
	if err != nil {
		return err
	}
	return a.output.add(groups)
}

// end sends what there is.
func (a *agent) end() error {
	ctx, stop := context.WithTimeout(context.Background(), endTime)
	defer stop()
	a.offCPU.End()
	return errors.Join(a.collector.Read(), a.flush(time.Now()), a.output.end(ctx))
}
