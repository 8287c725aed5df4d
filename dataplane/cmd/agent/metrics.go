package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type metrics struct {
	dropped       *prometheus.CounterVec
	gitRefMissing *prometheus.CounterVec
}

// newMetrics registers what docs/components.md promises to the alert rules, and what the kernel counts.
func newMetrics(registry prometheus.Registerer, kernel *fromKernel) *metrics {
	m := &metrics{
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_dropped_samples_total", Help: "Samples that were taken and not sent, by reason.",
			ConstLabels: prometheus.Labels{"node": kernel.node},
		}, []string{"reason"}),
		gitRefMissing: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_git_ref_missing_total", Help: "Profiles of a service whose pod names no full git commit.",
		}, []string{"service"}),
	}
	registry.MustRegister(m.dropped, m.gitRefMissing, kernel)
	return m
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
