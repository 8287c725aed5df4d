package forward

import (
	"context"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/push"
)

type gateway struct {
	pushv1connect.UnimplementedPusherServiceHandler
	mutex    sync.Mutex
	requests []*pushv1.PushRequest
}

func (g *gateway) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.requests = append(g.requests, r.Msg)
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func start(t *testing.T) (*Forward, *push.Pusher, *gateway) {
	t.Helper()
	g := &gateway{}
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(g))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	vector := func(name, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, []string{label})
	}
	pusher := push.New(server.URL, token, 8<<20, vector("dropped", "reason"), prometheus.NewRegistry())
	return New(pusher, vector("missing", "service")), pusher, g
}

// of has noise of that many bytes in it, which does not get smaller by being packed.
func of(bytes int) *profile.Profile {
	noise := make([]byte, bytes)
	for i := range noise {
		noise[i] = byte(rand.Intn(256))
	}
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "wall", Unit: "nanoseconds"}}, Comments: []string{string(noise)},
		Sample: []*profile.Sample{{Value: []int64{1}}},
	}
}

// What is sent within a while goes in one request, and keeps the labels that its source had.
func TestProfilesAreGathered(t *testing.T) {
	f, pusher, g := start(t)
	source := identity.Source{Service: identity.Service{Name: "cart"}}
	source.Labels = map[string]string{"team": "shop", "service_name": "cart"}
	source.GitRef = true
	for _, name := range []string{"memory", "mutex", "wall"} {
		if err := f.Send(source, name, of(10)); err != nil {
			t.Fatal(err)
		}
	}
	pusher.Flush(context.Background())
	if len(g.requests) != 0 {
		t.Error("sent one by one")
	}
	f.Flush()
	pusher.Flush(context.Background())
	if len(g.requests) != 1 || len(g.requests[0].Series) != 3 || len(source.Labels) != 2 {
		t.Errorf("%v; %v", g.requests, source.Labels)
	}
	if testutil.CollectAndCount(f.gitRefMissing) != 0 {
		t.Error("a commit that is known was counted as missing")
	}
	f.Flush()
	pusher.Flush(context.Background())
	if len(g.requests) != 1 {
		t.Error("what was sent is sent again")
	}
}

func TestMuchIsNotGatheredForLong(t *testing.T) {
	f, pusher, g := start(t)
	source := identity.Source{}
	source.Labels = map[string]string{"team": "shop", "service_name": "cart"}
	for range 3 {
		if err := f.Send(source, "wall", of(mostGather/2)); err != nil {
			t.Fatal(err)
		}
	}
	pusher.Flush(context.Background())
	if len(g.requests) != 1 || f.bytes > mostGather {
		t.Errorf("%d requests, %d bytes wait", len(g.requests), f.bytes)
	}
}
