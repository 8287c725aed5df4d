package netprobe

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is the newest verdict, for /ready and /metrics.
type State struct {
	mutex    sync.Mutex
	verdict  Verdict
	demand   bool
	enforced *prometheus.GaugeVec
	last     prometheus.Gauge
}

// NewState registers its metrics. With “demand“ the pod is ready only where policies hold: then whatever waits for it
// to be ready (`pulumi up`) does not call an open network healthy.
func NewState(registry prometheus.Registerer, demand bool) *State {
	s := &State{
		demand:  demand,
		verdict: Verdict{Why: "no round has ended yet"},
		enforced: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "flameplane_network_policies_enforced",
			Help: "Whether NetworkPolicies are enforced, by direction; absent while it is not known.",
		}, []string{"direction"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flameplane_network_probe_last_verdict_timestamp_seconds",
			Help: "When it was last known whether NetworkPolicies are enforced.",
		}),
	}
	registry.MustRegister(s.enforced, s.last)
	return s
}

// Set takes a verdict over; whether it is another one than before.
func (s *State) Set(verdict Verdict, at time.Time) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	changed := verdict != s.verdict
	s.verdict = verdict
	if !verdict.Known {
		s.enforced.Reset()
		return changed
	}
	s.enforced.WithLabelValues("ingress").Set(number(verdict.Ingress))
	s.enforced.WithLabelValues("egress").Set(number(verdict.Egress))
	s.last.Set(float64(at.Unix()))
	return changed
}

// Ready answers whether the pod counts as ready, and in words why not.
func (s *State) Ready(w http.ResponseWriter, _ *http.Request) {
	s.mutex.Lock()
	verdict := s.verdict
	s.mutex.Unlock()
	if s.demand && !verdict.Enforced() {
		http.Error(w, verdict.String(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, verdict.String())
}

// String says it in words.
func (v Verdict) String() string {
	switch {
	case !v.Known:
		return "it is not known whether NetworkPolicies are enforced: " + v.Why
	case v.Ingress && v.Egress:
		return "NetworkPolicies are enforced"
	case v.Ingress:
		return "NetworkPolicies are NOT enforced on the way out (egress)"
	case v.Egress:
		return "NetworkPolicies are NOT enforced on the way in (ingress)"
	}
	return "NetworkPolicies are NOT enforced: the cluster's network plugin ignores them"
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
