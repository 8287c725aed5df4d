package devstore

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

const cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

// world is a store on a real socket, with a clock that tests can move.
type world struct {
	t     testing.TB
	store *Store
	url   string
	clock atomic.Int64
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()) }

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t}
	w.clock.Store(time.Now().UnixNano())
	options := Options{Data: t.TempDir(), SweepEvery: time.Hour, Now: w.now}
	for _, each := range change {
		each(&options)
	}
	store, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	server := httptest.NewUnstartedServer(store.Handler())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// protocols that every procedure is served in, by name.
var protocols = map[string][]connect.ClientOption{
	"connect-json":  {connect.WithProtoJSON()},
	"connect-proto": nil,
	"grpc":          {connect.WithGRPC()},
	"grpc-web":      {connect.WithGRPCWeb()},
}

// client of a tenant. HTTP/2 serves every protocol, and gRPC needs it.
func client(tenant string) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 16}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: asTenant{tenant, transport}}
}

type asTenant struct {
	name string
	next http.RoundTripper
}

func (a asTenant) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.name != "" {
		r.Header.Set(tenantHeader, a.name)
	}
	return a.next.RoundTrip(r)
}

func (w *world) reads(tenant string, options ...connect.ClientOption) querierv1connect.QuerierServiceClient {
	return querierv1connect.NewQuerierServiceClient(client(tenant), w.url, options...)
}

func (w *world) writes(tenant string, options ...connect.ClientOption) pushv1connect.PusherServiceClient {
	return pushv1connect.NewPusherServiceClient(client(tenant), w.url, options...)
}

// sample of a profile: its stack, the root first.
type sample struct {
	stack  []string
	value  int64
	labels map[string]string
}

// cpuProfile is as Go writes it: samples, and their nanoseconds.
func cpuProfile(at time.Time, samples ...sample) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000,
		TimeNanos: at.UnixNano(), DurationNanos: int64(15 * time.Second),
		Mapping: []*profile.Mapping{{ID: 1, Start: 0x400000, Limit: 0x800000, File: "/app", HasFunctions: true}},
	}
	known := map[string]*profile.Location{}
	for _, one := range samples {
		made := &profile.Sample{Value: []int64{1, one.value}, Label: map[string][]string{}}
		for _, name := range one.stack {
			if known[name] == nil {
				id := uint64(len(known) + 1)
				function := &profile.Function{ID: id, Name: name, SystemName: name, Filename: name + ".go", StartLine: 3}
				known[name] = &profile.Location{ID: id, Mapping: p.Mapping[0], Address: 0x400000 + id, Line: []profile.Line{{Function: function, Line: 7}}}
				p.Function, p.Location = append(p.Function, function), append(p.Location, known[name])
			}
			made.Location = append([]*profile.Location{known[name]}, made.Location...)
		}
		for key, value := range one.labels {
			made.Label[key] = []string{value}
		}
		p.Sample = append(p.Sample, made)
	}
	return p
}

func packed(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func labelled(name, service string, more ...string) []*typesv1.LabelPair {
	found := []*typesv1.LabelPair{{Name: nameLabel, Value: name}, {Name: serviceLabel, Value: service}}
	for i := 0; i < len(more); i += 2 {
		found = append(found, &typesv1.LabelPair{Name: more[i], Value: more[i+1]})
	}
	return found
}

func push(ctx context.Context, to pushv1connect.PusherServiceClient, labels []*typesv1.LabelPair, profiles ...[]byte) error {
	series := &pushv1.RawProfileSeries{Labels: labels}
	for _, text := range profiles {
		series.Samples = append(series.Samples, &pushv1.RawSample{RawProfile: text})
	}
	_, err := to.Push(ctx, connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{series}}))
	return err
}

func (w *world) push(tenant string, labels []*typesv1.LabelPair, profiles ...*profile.Profile) {
	w.t.Helper()
	var texts [][]byte
	for _, one := range profiles {
		texts = append(texts, packed(w.t, one))
	}
	if err := push(w.t.Context(), w.writes(tenant), labels, texts...); err != nil {
		w.t.Fatal(err)
	}
}

// window of the hour until now, and a little further.
func (w *world) window() (start, end int64) {
	return w.now().Add(-time.Hour).UnixMilli(), w.now().Add(time.Minute).UnixMilli()
}

func wants(t testing.TB, err error, code connect.Code) {
	t.Helper()
	if connect.CodeOf(err) != code || err == nil {
		t.Fatalf("the answer is %v; wanted %s", err, code)
	}
}

func write(t testing.TB, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func stackText(p *googlev1.Profile, one *googlev1.Sample) string {
	var frames []string
	for _, id := range one.LocationId {
		for _, line := range p.Location[id-1].Line {
			frames = append(frames, fmt.Sprintf("%s:%d", p.StringTable[p.Function[line.FunctionId-1].Name], line.Line))
		}
	}
	return fmt.Sprintf("%s %d", strings.Join(frames, "<"), one.Value[0])
}
