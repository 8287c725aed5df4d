package scrape

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	scrapes *prometheus.CounterVec
	bytes   prometheus.Counter
	targets prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer, remembered *memory) *metrics {
	m := &metrics{
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_receiver_scrapes_total",
			Help: "Scrapes of Go programs: sent, empty, first (nothing to take the difference to), forgotten (no longer), failed.",
		}, []string{"service", "type", "outcome"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_receiver_scraped_bytes_total", Help: "Bytes of scraped profiles, as they came.",
		}),
		targets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flameplane_receiver_targets", Help: "Profiles that are scraped: of each pod one for each type.",
		}),
	}
	registry.MustRegister(m.scrapes, m.bytes, m.targets, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flameplane_receiver_remembered_bytes", Help: "What differences are taken to, of all pods.",
	}, func() float64 { return float64(remembered.bytes()) }))
	return m
}
