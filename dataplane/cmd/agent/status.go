package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

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
