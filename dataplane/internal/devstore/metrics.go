package devstore

import (
	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"
)

// metrics have no label of a tenant: a stranger could make as many as it likes.
type metrics struct {
	stored    prometheus.Counter
	received  *prometheus.CounterVec
	discarded *prometheus.CounterVec
	swept     prometheus.Counter
	reloads   *prometheus.CounterVec
	commits   prometheus.Histogram
	requests  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer, db *bolt.DB) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "devstore_" + name, Help: help}, labels)
		registry.MustRegister(vec)
		return vec
	}
	m := &metrics{
		stored:    counter("profiles_stored_total", "Profiles on disk since the start, one per set of labels.").WithLabelValues(),
		received:  counter("profiles_received_total", "Profiles that were pushed, by the way they came.", "format"),
		discarded: counter("profiles_discarded_total", "Profiles that were refused, by reason.", "reason"),
		swept:     counter("profiles_expired_total", "Profiles that were deleted because they were too old.").WithLabelValues(),
		reloads:   counter("overrides_reloads_total", "Changed limits that were read, by outcome.", "outcome"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "devstore_commit_seconds", Help: "From a profile that is ready to its sync.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "devstore_request_seconds", Help: "Requests by procedure and code.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"procedure", "code"}),
	}
	registry.MustRegister(m.commits, m.requests)
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "devstore_" + name, Help: help}, value))
	}
	gauge("database_bytes", "Size of the database file.", func() (size float64) {
		_ = db.View(func(tx *bolt.Tx) error {
			size = float64(tx.Size())
			return nil
		})
		return size
	})
	gauge("database_free_bytes", "Pages of the file that the next profiles are written to.", func() float64 {
		stats := db.Stats()
		return float64((stats.FreePageN + stats.PendingPageN) * db.Info().PageSize)
	})
	return m
}
