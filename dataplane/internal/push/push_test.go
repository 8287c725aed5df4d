package push

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// gateway answers as it is told, and keeps what it took.
type gateway struct {
	pushv1connect.UnimplementedPusherServiceHandler

	mutex   sync.Mutex
	answers []error // of the next requests; then nil
	taken   []*pushv1.PushRequest
	tokens  []string
	got     chan struct{}
}

func (g *gateway) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.tokens = append(g.tokens, r.Header().Get("Authorization"))
	if len(g.answers) > 0 {
		err := g.answers[0]
		g.answers = g.answers[1:]
		if err != nil {
			return nil, err
		}
	}
	g.taken = append(g.taken, r.Msg)
	g.got <- struct{}{}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func start(t *testing.T, limit int, answers ...error) (*Pusher, *gateway, *prometheus.CounterVec) {
	t.Helper()
	g := &gateway{answers: answers, got: make(chan struct{}, 100)}
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(g))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dropped"}, []string{"reason"})
	p := New(server.URL, token, limit, dropped, prometheus.NewRegistry())
	p.wait = func(int) time.Duration { return 0 }
	return p, g, dropped
}

func series(team, service string, samples int64) Series {
	return Series{
		Name: "process_cpu", Samples: uint64(samples),
		Labels: map[string]string{"team": team, "service_name": service},
		Profile: &profile.Profile{
			SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
			Sample:     []*profile.Sample{{Value: []int64{samples, samples * 10}}},
		},
	}
}

func TestOneRequestForEachTeam(t *testing.T) {
	p, g, _ := start(t, 1<<20, nil)
	if err := p.Add([]Series{series("a", "one", 1), series("b", "two", 2), series("a", "three", 3)}); err != nil {
		t.Fatal(err)
	}
	p.Flush(context.Background())
	teams := map[string]int{}
	for _, message := range g.taken {
		for _, each := range message.Series {
			for _, label := range each.Labels {
				if label.Name == "team" {
					teams[label.Value]++
				}
			}
			if _, err := profile.ParseData(each.Samples[0].RawProfile); err != nil || each.Samples[0].ID == "" {
				t.Error(err)
			}
			if !slices.Equal(each.Samples[0].RawProfile[:2], []byte{0x1f, 0x8b}) {
				t.Error("not gzip")
			}
		}
	}
	if len(g.taken) != 2 || teams["a"] != 2 || teams["b"] != 1 || g.tokens[0] != "Bearer secret" {
		t.Errorf("%d requests, %v %v", len(g.taken), teams, g.tokens)
	}
}

func TestAProfileMayHaveAnotherName(t *testing.T) {
	p, g, _ := start(t, 1<<20)
	named, plain := series("a", "one", 1), series("a", "two", 2)
	named.Name = "memory"
	if err := named.Pack(); err != nil || named.Profile != nil || named.Size() == 0 {
		t.Fatalf("%+v %v", named, err)
	}
	if err := p.Add([]Series{named, plain}); err != nil {
		t.Fatal(err)
	}
	p.Flush(context.Background())
	names := map[string][]string{}
	for _, each := range g.taken[0].Series {
		labels := map[string][]string{}
		for _, label := range each.Labels {
			labels[label.Name] = append(labels[label.Name], label.Value)
		}
		names[labels["service_name"][0]] = labels["__name__"]
	}
	if !slices.Equal(names["one"], []string{"memory"}) || !slices.Equal(names["two"], []string{"process_cpu"}) {
		t.Errorf("%v", names)
	}
}

func TestTriesAgainWhatMayPass(t *testing.T) {
	down := connect.NewError(connect.CodeUnavailable, errors.New("down"))
	late := connect.NewError(connect.CodeUnauthenticated, errors.New("expired"))
	p, g, dropped := start(t, 1<<20, down, late, down)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	if err := p.Add([]Series{series("a", "one", 7)}); err != nil {
		t.Fatal(err)
	}
	<-g.got
	for p.queue.first() != nil { // until the answer has come back
		runtime.Gosched()
	}
	stop()
	<-ended
	if len(g.tokens) != 4 || testutil.CollectAndCount(dropped) != 0 || p.queue.size() != 0 {
		t.Errorf("%d tries, %d bytes left", len(g.tokens), p.queue.size())
	}
	if n := testutil.ToFloat64(p.failed.WithLabelValues("unavailable")); n != 2 {
		t.Errorf("%v failures", n)
	}
}

func TestDropsWhatIsRefusedAndCountsIt(t *testing.T) {
	p, g, dropped := start(t, 1<<20, connect.NewError(connect.CodePermissionDenied, errors.New("unknown-team")))
	if err := p.Add([]Series{series("a", "one", 7)}); err != nil {
		t.Fatal(err)
	}
	p.Flush(context.Background())
	if n := testutil.ToFloat64(dropped.WithLabelValues("refused")); n != 7 || len(g.tokens) != 1 {
		t.Errorf("%v samples dropped after %d tries", n, len(g.tokens))
	}
}

func TestTheOldestGivesWay(t *testing.T) {
	one, err := encode([]Series{series("a", "one", 1)})
	if err != nil {
		t.Fatal(err)
	}
	p, g, dropped := start(t, 2*one.bytes+one.bytes/2)
	for i := range int64(4) {
		if err := p.Add([]Series{series("a", "one", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testutil.ToFloat64(dropped.WithLabelValues("buffer")); n != 1+2 {
		t.Errorf("%v samples dropped", n)
	}
	p.Flush(context.Background())
	if len(g.taken) != 2 || p.queue.size() != 0 {
		t.Errorf("%d requests", len(g.taken))
	}
}

func TestAFlushEnds(t *testing.T) {
	down := connect.NewError(connect.CodeUnavailable, errors.New("down"))
	p, g, dropped := start(t, 1<<20, down, nil)
	if err := p.Add([]Series{series("a", "one", 3), series("b", "two", 3)}); err != nil {
		t.Fatal(err)
	}
	p.Flush(context.Background())
	if n := testutil.ToFloat64(dropped.WithLabelValues("stopped")); n != 3 || len(g.taken) != 1 {
		t.Errorf("%v samples dropped, %d requests taken", n, len(g.taken))
	}
}

func TestWithoutATokenItWaits(t *testing.T) {
	p, g, dropped := start(t, 1<<20)
	p.token += "-not-there"
	if err := p.Add([]Series{series("a", "one", 3)}); err != nil {
		t.Fatal(err)
	}
	if p.try(context.Background(), p.queue.first()) || len(g.tokens) != 0 || testutil.CollectAndCount(dropped) != 0 {
		t.Error("sent without a token, or dropped")
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	for tries, most := range map[int]time.Duration{1: firstBackoff, 2: 2 * firstBackoff, 50: maxBackoff} {
		if long := backoff(tries); long < most/2 || long > most {
			t.Errorf("%d: %v", tries, long)
		}
	}
}
