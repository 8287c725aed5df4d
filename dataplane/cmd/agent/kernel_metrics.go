package main

import (
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/offcpu"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/python"
	"flameplane.dev/dataplane/internal/sampler"
)

// fromKernel reads the counters of the BPF programs when it is asked.
type fromKernel struct {
	counts *sampler.Sampler
	waits  *offcpu.OffCPU // nil on an older kernel, as python
	python *python.Functions
	opened *pins.Pins
	known  *identity.Node
	node   string
}

var (
	ticks = prometheus.NewDesc("flameplane_agent_ticks_total",
		"Ticks of the perf events on busy CPUs, by what became of them; since the programs were loaded.", []string{"outcome"}, nil)
	waits = prometheus.NewDesc("flameplane_agent_offcpu_waits_total",
		"Waits of threads, by what became of them; since the programs were loaded.", []string{"outcome"}, nil)
	pythons = prometheus.NewDesc("flameplane_agent_python_stacks_total",
		"Samples of processes with a Python interpreter, by what became of its functions; since the programs were loaded.",
		[]string{"outcome"}, nil)
	threshold = prometheus.NewDesc("flameplane_agent_offcpu_threshold_seconds",
		"Stacks of all waits from this length on are taken, and of a share of the shorter ones.", nil, nil)
	pods = prometheus.NewDesc("flameplane_agent_pods", "Pods of declared services on this node.",
		[]string{"service", "team", "node"}, nil)
	runTime = prometheus.NewDesc("flameplane_agent_bpf_run_seconds_total", "Time in a BPF program; as its runs.", []string{"program"}, nil)
	runs    = prometheus.NewDesc("flameplane_agent_bpf_runs_total",
		"Runs of a BPF program; nothing where the kernel does not count them (kernel.bpf_stats_enabled).", []string{"program"}, nil)
	lacks = prometheus.NewDesc("flameplane_agent_kernel_lacks",
		"1 for what the node's kernel is too old for: names of code in programs, time off the CPU.", []string{"what"}, nil)
	missed = prometheus.NewDesc("flameplane_agent_bpf_missed_runs_total",
		"Runs that the kernel left out, since the program was already running on that CPU.", []string{"program"}, nil)
)

// registerEvents tells of the CPUs. One that is refused is refused once a reading.
func registerEvents(registry prometheus.Registerer, events *sampler.Events) {
	const name, help = "flameplane_agent_perf_events_total", "Perf events that the agent asked the kernel for, by what became of them."
	numbers := func(outcome string, of *atomic.Int64) prometheus.Collector {
		labels := prometheus.Labels{"outcome": outcome}
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(of.Load()) })
	}
	registry.MustRegister(numbers("opened", &events.Opened), numbers("refused", &events.Refused),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "flameplane_agent_cpus", Help: "CPUs that are sampled."},
			func() float64 { return float64(events.Ticking.Load()) }))
}

func (f *fromKernel) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{ticks, waits, pythons, threshold, pods, runTime, runs, missed, lacks} {
		to <- each
	}
}

func (f *fromKernel) Collect(to chan<- prometheus.Metric) {
	for service, count := range f.known.Pods() {
		to <- prometheus.MustNewConstMetric(pods, prometheus.GaugeValue, float64(count), service[0], service[1], f.node)
	}
	if o, err := f.counts.Outcomes(); err != nil {
		slog.Error("the sampler's counters cannot be read", "err", err)
	} else {
		outcomes(to, ticks, map[string]uint64{
			"kept": o.Kept, "stale": o.Stale, "off": o.Off, "thinned": o.Thinned,
			"lost_count": o.LostCount, "lost_stack": o.LostStack, "truncated": o.Truncated,
		})
	}
	if f.waits == nil {
		for _, what := range []string{"names", "offcpu"} {
			to <- prometheus.MustNewConstMetric(lacks, prometheus.GaugeValue, 1, what)
		}
	} else {
		f.waiting(to)
	}
	f.cost(to)
}

func (f *fromKernel) waiting(to chan<- prometheus.Metric) {
	if o, err := f.waits.Outcomes(); err != nil {
		slog.Error("the counters of off-CPU time cannot be read", "err", err)
	} else {
		outcomes(to, waits, o)
	}
	if o, err := f.python.Outcomes(); err != nil {
		slog.Error("the counters of Python's stacks cannot be read", "err", err)
	} else {
		outcomes(to, pythons, o)
	}
	if now, err := f.waits.Threshold(); err != nil {
		slog.Error("the threshold of off-CPU time cannot be read", "err", err)
	} else {
		to <- prometheus.MustNewConstMetric(threshold, prometheus.GaugeValue, now.Seconds())
	}
}

func outcomes(to chan<- prometheus.Metric, of *prometheus.Desc, numbers map[string]uint64) {
	for outcome, number := range numbers {
		to <- prometheus.MustNewConstMetric(of, prometheus.CounterValue, float64(number), outcome)
	}
}

// cost is what the kernel spent in the programs. It needs no capability, only the pins. One that does not measure has run
// none.
func (f *fromKernel) cost(to chan<- prometheus.Metric) {
	for _, name := range []string{bpf.OnCPU, bpf.OffCPU} {
		program, ok := f.opened.Programs[name]
		if !ok {
			continue
		}
		spent, err := program.Stats()
		if err != nil {
			slog.Error("the kernel does not tell what a BPF program costs", "program", name, "err", err)
			continue
		}
		to <- prometheus.MustNewConstMetric(missed, prometheus.CounterValue, float64(spent.RecursionMisses), name)
		if spent.RunCount > 0 {
			to <- prometheus.MustNewConstMetric(runTime, prometheus.CounterValue, spent.Runtime.Seconds(), name)
			to <- prometheus.MustNewConstMetric(runs, prometheus.CounterValue, float64(spent.RunCount), name)
		}
	}
}
