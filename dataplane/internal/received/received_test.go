package received

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/intake"
	"flameplane.dev/dataplane/internal/jfr"
)

const octets = "application/octet-stream"

// push pushes as pyroscope-io does.
func (w *world) push(address string, labels map[string]string, profiles ...[]byte) error {
	w.t.Helper()
	client := pushv1connect.NewPusherServiceClient(from(w.t, address), w.url, connect.WithSendGzip())
	series := &pushv1.RawProfileSeries{}
	for name, value := range labels {
		series.Labels = append(series.Labels, &typesv1.LabelPair{Name: name, Value: value})
	}
	for _, one := range profiles {
		series.Samples = append(series.Samples, &pushv1.RawSample{RawProfile: one, ID: "1"})
	}
	_, err := client.Push(context.Background(), connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{series}}))
	return err
}

// A profile is the pod's that it comes from, whatever it says: in the query, in a header, in the labels of a series or of
// its samples.
func TestAProfileIsThePodsThatItComesFrom(t *testing.T) {
	w := newWorld(t)
	claimed := "/ingest?format=pprof&name=other%7Bteam%3Dother%2Cnamespace%3Dother%2Cpod%3Dother%2Cservice_git_ref%3Dother%7D"
	request, err := http.NewRequest(http.MethodPost, w.url+claimed, bytes.NewReader(of(t, "wall", "wall")))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", search)
	request.Header.Set("X-Scope-OrgID", "other")
	response, err := from(t, cart).Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
	others := map[string]string{"__name__": "wall"}
	for _, name := range []string{"service_name", "team", "namespace", "pod", "container", "node", "service_version", "version", "service_git_ref", "git_ref", "track", "resolution"} {
		others[name] = "other"
	}
	if err := w.push(cart, others, of(t, "wall", "wall")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"service_name": "cart", "team": "cart-team", "namespace": "shop", "pod": "cart-0", "container": "main", "node": "n1",
		"service_version": "1.2", "service_git_ref": sha, "track": "canary",
	}
	if len(w.sent) != 2 {
		t.Fatalf("%v", w.taken())
	}
	for _, one := range w.sent {
		if !maps.Equal(one.labels, want) || one.name != "wall" {
			t.Errorf("%s of %v", one.name, one.labels)
		}
		if label := one.profile.Sample[0].Label; len(label) != 1 || label["span_id"] == nil {
			t.Errorf("a sample says %v", label)
		}
	}
	if err := w.push(search, others, of(t, "wall", "wall")); err != nil || w.sent[2].labels["service_name"] != "search" {
		t.Errorf("%v %v", w.taken(), err)
	}
}

func TestWhoIsNoPodOfAServiceIsRefusedAndCounted(t *testing.T) {
	w := newWorld(t)
	for address, reason := range map[string]identity.Refusal{
		onHost: identity.HostNetwork, undeclared: identity.Undeclared, excluded: identity.Excluded, off: identity.Off,
		unknown: identity.UnknownAddress,
	} {
		status, said := w.post(address, "/ingest?format=pprof", octets, of(t, "wall", "wall"))
		if status != http.StatusForbidden || !strings.Contains(said, string(reason)) {
			t.Errorf("%s: %d %s", reason, status, said)
		}
		err := w.push(address, map[string]string{"__name__": "wall"}, of(t, "wall", "wall"))
		if connect.CodeOf(err) != connect.CodePermissionDenied || w.refused(reason) != 2 {
			t.Errorf("%s: %v, %v refused", reason, err, w.refused(reason))
		}
	}
	w.node.(*identity.Node).SetPods(map[string]identity.Pod{})
	if status, _ := w.post(cart, "/ingest", octets, nil); status != http.StatusForbidden {
		t.Errorf("a pod that is gone: %d", status)
	}
	w.node = identity.NewNode("n1", &identity.Declared{})
	if status, _ := w.post(cart, "/ingest", octets, nil); status != http.StatusServiceUnavailable || w.refused(identity.NotListed) != 1 {
		t.Errorf("before the pods are known: %d", status)
	}
	if len(w.sent) != 0 {
		t.Errorf("%v", w.taken())
	}
}

func TestCPUTimeComesFromOneSource(t *testing.T) {
	w := newWorld(t)
	for _, address := range []string{cart, search, web} {
		for _, types := range []string{"cpu: samples cpu", "wall: samples wall cpu", "space: objects space"} {
			period, kinds, _ := strings.Cut(types, ": ")
			if status, said := w.post(address, "/ingest?format=pprof", octets, of(t, period, strings.Fields(kinds)...)); status != http.StatusOK {
				t.Errorf("%s: %d %s", types, status, said)
			}
		}
	}
	want := []string{
		"cart wall: samples wall", "cart memory: objects space",
		"search process_cpu: samples cpu", "search wall: samples wall cpu", "search memory: objects space",
		"web wall: samples wall", "web memory: objects space",
	}
	if !slices.Equal(w.taken(), want) {
		t.Errorf("%q", w.taken())
	}
	for service, count := range map[string]float64{"cart": 2, "search": 0, "web": 2} {
		if found := testutil.ToFloat64(w.metrics.cpuDropped.WithLabelValues(service)); found != count {
			t.Errorf("%s: %v", service, found)
		}
	}
	if taken := testutil.ToFloat64(w.metrics.received.WithLabelValues("search", "pprof")); taken != 3 || testutil.ToFloat64(w.metrics.bytes) == 0 {
		t.Errorf("%v profiles", taken)
	}
}

// A recording has CPU time in it even where another event was asked for.
func TestRecordingsOfTheJVM(t *testing.T) {
	recording, err := os.ReadFile("../../contract/profiles/java.jfr.gz")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	kind, body := formOf(t, map[string][]byte{"jfr": recording})
	for _, address := range []string{search, cart} {
		if status, said := w.post(address, "/ingest?format=jfr&name=other&from=1700000000&until=1700000010&sampleRate=100", kind, body); status != http.StatusOK {
			t.Errorf("%d %s", status, said)
		}
	}
	if found := w.taken(); !slices.Contains(found, "search process_cpu: cpu") || slices.Contains(found, "cart process_cpu: cpu") {
		t.Errorf("%q", found)
	}
	if dropped := testutil.ToFloat64(w.metrics.cpuDropped.WithLabelValues("cart")); dropped != 1 {
		t.Errorf("%v", dropped)
	}
}

// What reading a recording has come to is told to who sent it, and counted by what it was.
func TestRecordingsThatAreNotReadAreCounted(t *testing.T) {
	w := newWorld(t)
	for _, one := range []struct {
		err    error
		status int
		reason identity.Refusal
	}{
		{jfr.ErrUnavailable, http.StatusServiceUnavailable, "jfr-unavailable"},
		{jfr.ErrMemory, http.StatusRequestEntityTooLarge, "jfr-memory"},
		{jfr.ErrTime, http.StatusRequestEntityTooLarge, "jfr-time"},
		{intake.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large"},
		{errors.New("no recording"), http.StatusBadRequest, "malformed"},
	} {
		w.jfr = func(context.Context, jfr.Recording) ([]jfr.Profile, error) { return nil, one.err }
		status, said := w.post(cart, "/ingest?format=jfr", octets, []byte("any"))
		if status != one.status || w.refused(one.reason) != 1 || !strings.Contains(said, one.err.Error()) {
			t.Errorf("%v: %d %s", one.err, status, said)
		}
	}
}

// A profile of a recording that is too large takes no other with it.
func TestTheOthersOfARecordingAreTaken(t *testing.T) {
	w := newWorld(t)
	w.jfr = func(_ context.Context, asked jfr.Recording) ([]jfr.Profile, error) {
		if !asked.WithoutCPU {
			t.Error("CPU time is asked for, which the service has from another source")
		}
		return []jfr.Profile{
			{Name: "wall", Pprof: intake.Pack(make([]byte, mostProfile+1))}, {Name: jfr.CPU},
			{Name: "mutex", Pprof: of(t, "mutex", "contentions")},
		}, nil
	}
	status, _ := w.post(cart, "/ingest?format=jfr", octets, []byte("any"))
	if status != http.StatusRequestEntityTooLarge || w.refused("too-large") != 1 || !slices.Equal(w.taken(), []string{"cart mutex: contentions"}) {
		t.Errorf("%d %q", status, w.taken())
	}
	if dropped := testutil.ToFloat64(w.metrics.cpuDropped.WithLabelValues("cart")); dropped != 1 {
		t.Errorf("%v", dropped)
	}
}

func TestAForm(t *testing.T) {
	w := newWorld(t)
	kind, body := formOf(t, map[string][]byte{
		"profile": of(t, "contentions", "contentions", "delay"), "sample_type_config": []byte(`{"delay": {"display-name": "block_duration"}}`),
	})
	if status, said := w.post(cart, "/pyroscope/ingest", kind, body); status != http.StatusOK || w.sent[0].name != "block" {
		t.Errorf("%d %s %v", status, said, w.taken())
	}
}

func TestWhatCannotBeReadIsRefusedAndCounted(t *testing.T) {
	w := newWorld(t)
	good := of(t, "wall", "wall")
	strange, strangeBody := formOf(t, map[string][]byte{"profile": good, "prev_profile": good})
	bad, badBody := formOf(t, map[string][]byte{"profile": good, "sample_type_config": []byte("{")})
	half, halfBody := formOf(t, map[string][]byte{"profile": good})
	for _, one := range []struct {
		path, kind string
		body       []byte
		status     int
		reason     identity.Refusal
	}{
		{"/ingest?format=pprof", octets, []byte("no profile"), http.StatusBadRequest, "malformed"},
		{"/ingest?format=pprof", octets, nil, http.StatusBadRequest, "malformed"},
		{"/ingest?format=pprof", octets, make([]byte, mostBody+1), http.StatusRequestEntityTooLarge, "too-large"},
		{"/ingest?format=pprof", octets, intake.Pack(make([]byte, 64<<20)), http.StatusRequestEntityTooLarge, "too-large"},
		{"/ingest?format=pprof", octets, bytes.Repeat([]byte{0x12, 0x00}, 1<<20), http.StatusRequestEntityTooLarge, "too-large"},
		{"/ingest?format=pprof", octets, of(t, "x", "no name"), http.StatusBadRequest, "malformed"},
		{"/ingest?format=trie", octets, good, http.StatusBadRequest, "malformed"},
		{"/ingest?format=%zz", octets, good, http.StatusBadRequest, "malformed"},
		{"/ingest?format=jfr", octets, []byte("none"), http.StatusBadRequest, "malformed"},
		{"/ingest?format=jfr", octets, nil, http.StatusBadRequest, "malformed"},
		{"/ingest", strange, strangeBody, http.StatusBadRequest, "malformed"},
		{"/ingest", bad, badBody, http.StatusBadRequest, "malformed"},
		{"/ingest", half, halfBody[:len(halfBody)-20], http.StatusBadRequest, "malformed"},
		{"/push.v1.PusherService/Push", "application/proto", []byte{0x0a, 0x05}, http.StatusBadRequest, "malformed"},
		{"/push.v1.PusherService/Push", "application/proto", make([]byte, mostBody+1), http.StatusTooManyRequests, "malformed"},
		{"/push.v1.PusherService/Push", "text/plain", nil, http.StatusUnsupportedMediaType, "malformed"},
		{"/debug/pprof/heap", octets, nil, http.StatusNotFound, "malformed"},
	} {
		before := w.refused(one.reason)
		if status, said := w.post(cart, one.path, one.kind, one.body); status != one.status || w.refused(one.reason) != before+1 {
			t.Errorf("%s, %d bytes: %d %s", one.path, len(one.body), status, said)
		}
	}
	for _, name := range []string{"", "no name", strings.Repeat("x", 100)} {
		if err := w.push(cart, map[string]string{"__name__": name}, good); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := w.push(cart, map[string]string{"__name__": "wall"}, slices.Repeat([][]byte{good}, mostSeries+1)...); err == nil {
		t.Error("too many at once")
	}
	if len(w.sent) != 0 {
		t.Errorf("%v", w.taken())
	}
}

func TestARefusalHasACode(t *testing.T) {
	if codeOf(malformed(errors.New("x"))) != connect.CodeInvalidArgument || codeOf(malformed(new(http.MaxBytesError))) != connect.CodeResourceExhausted {
		t.Error("codes")
	}
}
