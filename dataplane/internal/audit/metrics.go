package audit

import "github.com/prometheus/client_golang/prometheus"

// Metrics of shipping; docs/components.md lists those that alerts are made of.
type Metrics struct {
	shipped prometheus.Counter
	failed  *prometheus.CounterVec
}

// NewMetrics registers them, and what the journal knows of itself.
func NewMetrics(registry prometheus.Registerer, journal *Journal) *Metrics {
	m := &Metrics{
		shipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_gateway_audit_shipped_lines_total", Help: "Audit lines that are in object storage.",
		}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_gateway_audit_ship_failures_total", Help: "Uploads that failed, of lines or of an anchor.",
		}, []string{"what"}),
	}
	for _, what := range []string{"lines", "anchor"} {
		m.failed.WithLabelValues(what)
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flameplane_gateway_audit_lag_seconds", Help: "Age of the oldest audit line that is not in object storage.",
	}, func() float64 { return journal.Lag().Seconds() })
	registry.MustRegister(m.shipped, m.failed, lag)
	return m
}

// RegisterDisk registers how much of the disk the log takes, and may take.
func RegisterDisk(registry prometheus.Registerer, journal *Journal) {
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("flameplane_gateway_audit_disk_bytes", "Audit log on disk.", func() float64 { return float64(journal.Size()) })
	gauge("flameplane_gateway_audit_disk_budget_bytes", "Size of the audit log from which on nothing is written.",
		func() float64 { return float64(journal.disk.limits.Budget) })
}
