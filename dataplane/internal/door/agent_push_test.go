package door

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/cpuprofile"
	pusher "flameplane.dev/dataplane/internal/push"
)

// The node agent's own client is let through, each team's profiles into that team's tenant; what is of no declared team
// is refused for good, and counted by the agent.
func TestTheNodeAgentPushes(t *testing.T) {
	w := newWorld(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(w.program(agent)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dropped"}, []string{"reason"})
	client := pusher.New(w.url, token, 1<<20, dropped, prometheus.NewRegistry())
	var all []pusher.Series
	for _, team := range []string{"payments", "catalog", "nobody"} {
		builder := cpuprofile.New(99)
		builder.Add([]cpuprofile.Frame{{Function: "main.main"}}, 7, time.Second)
		built, err := builder.Build(time.Now().Add(-time.Minute), 15*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{"team": team, "service_name": "one", "pod": "one-0"}
		waited := cpuprofile.NewOffCPU()
		waited.Add([]cpuprofile.Frame{{Function: "schedule"}}, 5, time.Second)
		off, err := waited.Build(time.Now().Add(-time.Minute), 15*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pusher.Series{Name: "off_cpu", Labels: labels, Profile: off, Samples: waited.Number()})
		all = append(all, pusher.Series{Name: "process_cpu", Labels: labels, Profile: built, Samples: builder.Number()})
	}
	if err := client.Add(all); err != nil {
		t.Fatal(err)
	}
	client.Flush(context.Background())
	reached := w.tenants()
	slices.Sort(reached)
	if !slices.Equal(reached, []string{"catalog", "payments"}) {
		t.Errorf("reached %v", reached)
	}
	if refused := testutil.ToFloat64(dropped.WithLabelValues("refused")); refused != 12 {
		t.Errorf("%v samples were refused", refused)
	}
}
