package door

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	own "runtime/pprof"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/forward"
	"flameplane.dev/dataplane/internal/identity"
	pusher "flameplane.dev/dataplane/internal/push"
	receiving "flameplane.dev/dataplane/internal/received"
)

// What an application pushes to its node's receiver without a credential is let through here as the receiver's, into the
// tenant of the team that the service is declared of, whatever team it says itself.
func TestTheReceiverPushes(t *testing.T) {
	w := newWorld(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(w.program(agent)), 0o600); err != nil {
		t.Fatal(err)
	}
	var declared identity.Declared
	if err := json.Unmarshal([]byte(`{"baseRateHz": 99, "services": [{"service": "checkout", "team": "payments", "namespace": "shop",
		"selector": {"app": "checkout"}, "sampleRateHz": 99, "types": ["cpu"], "cpuSource": "ebpf", "labels": {}}]}`), &declared); err != nil {
		t.Fatal(err)
	}
	node := identity.NewNode("n1", &declared)
	node.SetPods(map[string]identity.Pod{"1": {
		Namespace: "shop", Name: "checkout-0", Labels: map[string]string{"app": "checkout"},
		Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	}})
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dropped"}, []string{"reason"})
	missing := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "missing"}, []string{"service"})
	client := pusher.New(w.url, token, 1<<20, dropped, prometheus.NewRegistry())
	out := forward.New(client, missing)
	receiver := httptest.NewServer(receiving.New(node, out.Send, nil, prometheus.NewRegistry()).Handler())
	t.Cleanup(receiver.Close)
	var profile bytes.Buffer
	if err := own.Lookup("goroutine").WriteTo(&profile, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		response, err := http.Post(receiver.URL+ingestPath("other{team=catalog,service_name=other}")+"&format=pprof", "application/octet-stream", bytes.NewReader(profile.Bytes()))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		_ = response.Body.Close()
	}
	out.Flush()
	client.Flush(context.Background())
	if calls := w.backend.all(); len(calls) != 1 || calls[0].header.Get(tenantHeader) != "payments" || strings.Contains(string(calls[0].body), "catalog") {
		t.Errorf("reached %v", w.tenants())
	}
	if testutil.CollectAndCount(dropped) != 0 || testutil.ToFloat64(missing.WithLabelValues("checkout")) != 2 {
		t.Error("something was lost, or the missing commit was not counted")
	}
}
