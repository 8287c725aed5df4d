package push

import "github.com/prometheus/client_golang/prometheus"

// Losses are what is missing of a node's profiles. The agent and the receiver count them under the same names: to the
// alert rules both are what a node loses (docs/components.md).
type Losses struct {
	Dropped       *prometheus.CounterVec // samples, by reason
	GitRefMissing *prometheus.CounterVec // profiles, by service
}

// NewLosses registers them.
func NewLosses(node string, registry prometheus.Registerer) *Losses {
	l := &Losses{
		Dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_dropped_samples_total", Help: "Samples that were taken and not sent, by reason.",
			ConstLabels: prometheus.Labels{"node": node},
		}, []string{"reason"}),
		GitRefMissing: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_git_ref_missing_total", Help: "Profiles of a service whose pod names no full git commit.",
		}, []string{"service"}),
	}
	registry.MustRegister(l.Dropped, l.GitRefMissing)
	return l
}
