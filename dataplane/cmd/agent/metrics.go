package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/sampler"
)

type metrics struct {
	dropped       *prometheus.CounterVec
	gitRefMissing *prometheus.CounterVec
}

// newMetrics registers what docs/components.md promises to the alert rules, and the sampler's own counters.
func newMetrics(registry prometheus.Registerer, node string, counts *sampler.Sampler, known *identity.Node) *metrics {
	m := &metrics{
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_dropped_samples_total", Help: "Samples that were taken and not sent, by reason.",
			ConstLabels: prometheus.Labels{"node": node},
		}, []string{"reason"}),
		gitRefMissing: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_git_ref_missing_total", Help: "Profiles of a service whose pod names no full git commit.",
		}, []string{"service"}),
	}
	registry.MustRegister(m.dropped, m.gitRefMissing, &fromKernel{counts, known, node})
	return m
}

func (m *metrics) drop(reason string, lost *profile.Profile) {
	samples := int64(0)
	for _, sample := range lost.Sample {
		samples += sample.Value[0]
	}
	m.dropped.WithLabelValues(reason).Add(float64(samples))
}

// fromKernel reads the sampler's counters when it is asked.
type fromKernel struct {
	counts *sampler.Sampler
	known  *identity.Node
	node   string
}

var (
	ticks = prometheus.NewDesc("flameplane_agent_ticks_total",
		"Ticks of the perf events on busy CPUs, by what became of them; since the programs were loaded.", []string{"outcome"}, nil)
	pods = prometheus.NewDesc("flameplane_agent_pods", "Pods of declared services on this node.",
		[]string{"service", "team", "node"}, nil)
)

func (f *fromKernel) Describe(to chan<- *prometheus.Desc) { to <- ticks; to <- pods }

func (f *fromKernel) Collect(to chan<- prometheus.Metric) {
	for service, count := range f.known.Pods() {
		to <- prometheus.MustNewConstMetric(pods, prometheus.GaugeValue, float64(count), service[0], service[1], f.node)
	}
	o, err := f.counts.Outcomes()
	if err != nil {
		slog.Error("the sampler's counters cannot be read", "err", err)
		return
	}
	for outcome, number := range map[string]uint64{
		"kept": o.Kept, "stale": o.Stale, "off": o.Off, "thinned": o.Thinned,
		"lost_count": o.LostCount, "lost_stack": o.LostStack, "truncated": o.Truncated,
	} {
		to <- prometheus.MustNewConstMetric(ticks, prometheus.CounterValue, float64(number), outcome)
	}
}

func (a *agent) status(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	alive := func(w http.ResponseWriter, _ *http.Request) {
		if since := time.Since(time.Unix(0, a.last.Load())); since > healthy {
			http.Error(w, fmt.Sprintf("nothing was read for %v", since), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /ready", alive)
	return mux
}
