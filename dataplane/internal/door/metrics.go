package door

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/audit"
)

// Metrics of the door; docs/components.md lists those that alerts are made of.
type Metrics struct {
	AuditErrors prometheus.Counter
	forwarded   *prometheus.CounterVec
	refused     *prometheus.CounterVec
	exports     prometheus.Counter
	seconds     *prometheus.HistogramVec
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		AuditErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_gateway_audit_errors_total", Help: "Decisions that could not be put on record.",
		}),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_gateway_forwarded_total", Help: "Requests that were let through.",
		}, []string{"direction"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_gateway_refused_total", Help: "Requests that were refused, by the rule that refused them.",
		}, []string{"direction", "reason"}),
		exports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_gateway_exports_total", Help: "Whole profiles that left by a grant.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "flameplane_gateway_request_seconds", Help: "From the first byte in to the record on disk.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"operation"}),
	}
	registry.MustRegister(m.AuditErrors, m.forwarded, m.refused, m.exports, m.seconds)
	return m
}

func (m *Metrics) count(record *audit.Record) {
	direction := "read"
	if record.Operation == "push" {
		direction = "write"
	}
	if record.Allowed {
		m.forwarded.WithLabelValues(direction).Inc()
	} else {
		m.refused.WithLabelValues(direction, record.Rule).Inc()
	}
	if record.Allowed && record.Grant != "" && record.Code == "" && record.Status == http.StatusOK {
		m.exports.Inc()
	}
	m.seconds.WithLabelValues(record.Operation).Observe(record.Duration.Seconds())
}
