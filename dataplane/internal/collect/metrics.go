package collect

import (
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/symbols"
)

// Metrics of what is known of the samples.
type Metrics struct {
	StacksLost prometheus.Counter
	symbolised *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		StacksLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_agent_stacks_lost_total",
			Help: "Samples whose stack was evicted before it was read. Their CPU time is kept.",
		}),
		symbolised: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_frames_total",
			Help: "User frames by what is known of them: a name, the place in a file, or nothing.",
		}, []string{"known"}),
	}
	registry.MustRegister(m.StacksLost, m.symbolised)
	return m
}

func (m *Metrics) frames(frames []cpuprofile.Frame) {
	for _, frame := range frames {
		switch {
		case frame == symbols.Unmapped || frame == symbols.Written || frame == symbols.NoBuildID:
			m.symbolised.WithLabelValues("nothing").Inc()
		case frame.Function != "":
			m.symbolised.WithLabelValues("name").Inc()
		default:
			m.symbolised.WithLabelValues("place").Inc()
		}
	}
}
