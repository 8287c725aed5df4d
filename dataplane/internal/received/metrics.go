package received

import (
	"io"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	received   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	cpuDropped *prometheus.CounterVec
	bytes      prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_receiver_received_profiles_total", Help: "Profiles that were pushed and taken.",
		}, []string{"service", "format"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_receiver_refused_total", Help: "Pushes that were not taken, by reason.",
		}, []string{"reason"}),
		cpuDropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_receiver_cpu_dropped_total",
			Help: "Pushed profiles whose CPU time was taken away: the service has it from another source.",
		}, []string{"service"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_receiver_received_bytes_total", Help: "Bytes of pushes, as they came.",
		}),
	}
	registry.MustRegister(m.received, m.refused, m.cpuDropped, m.bytes)
	return m
}

// counting counts what is read of a body.
type counting struct {
	io.ReadCloser
	bytes prometheus.Counter
}

func (c *counting) Read(into []byte) (int, error) {
	number, err := c.ReadCloser.Read(into)
	c.bytes.Add(float64(number))
	return number, err
}
