package push

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/devstore"
)

// What is sent is what a backend stores: under the type and the labels by which everything else asks for it.
func TestABackendStoresIt(t *testing.T) {
	store, err := devstore.Open(devstore.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Scope-OrgID", "shop") // the gateway's part
		store.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dropped"}, []string{"reason"})
	p := New(server.URL, token, 1<<20, dropped, prometheus.NewRegistry())

	now := time.Now()
	builder := cpuprofile.New(99)
	image := cpuprofile.Image{File: "/bin/cart", BuildID: "abc", From: 0x1000, To: 0x9000}
	builder.Add([]cpuprofile.Frame{
		{Image: image, Address: 0x1500}, {Image: image, Address: 0x2000, Function: "main.main", Line: 3},
	}, 99, time.Second)
	built, err := builder.Build(now.Add(-10*time.Second), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	waited := cpuprofile.NewOffCPU()
	waited.Add([]cpuprofile.Frame{{Function: "schedule"}, {Function: "main.wait"}}, 3, 2*time.Second)
	off, err := waited.Build(now.Add(-10*time.Second), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{
		"service_name": "cart", "team": "shop", "namespace": "shop", "pod": "cart-0", "container": "main", "node": "n1",
		"service_version": "1.2", "service_git_ref": "0123456789abcdef0123456789abcdef01234567", "track": "stable",
	}
	if err := p.Add([]Series{
		{Name: "process_cpu", Labels: labels, Profile: built}, {Name: "off_cpu", Labels: labels, Profile: off},
	}); err != nil {
		t.Fatal(err)
	}
	p.Flush(context.Background())

	querier := querierv1connect.NewQuerierServiceClient(http.DefaultClient, server.URL)
	for kind, want := range map[string]struct {
		total    time.Duration
		function string
	}{
		"process_cpu:cpu:nanoseconds:cpu:nanoseconds": {time.Second, "main.main"},
		"off_cpu:off_cpu:nanoseconds::":               {2 * time.Second, "main.wait"},
	} {
		answer, err := querier.SelectMergeStacktraces(context.Background(), connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
			ProfileTypeID: kind, LabelSelector: `{service_name="cart",track="stable"}`,
			Start: now.Add(-time.Minute).UnixMilli(), End: now.Add(time.Minute).UnixMilli(),
		}))
		if err != nil {
			t.Fatal(err)
		}
		graph := answer.Msg.Flamegraph
		if graph.GetTotal() != int64(want.total) || !slices.Contains(graph.GetNames(), want.function) {
			t.Errorf("%s: %d ns of %v", kind, graph.GetTotal(), graph.GetNames())
		}
	}
}
