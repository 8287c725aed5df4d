package received

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/jfr"
)

// pods of the test by their addresses, which are all this machine's.
const (
	cart, search, web  = "127.0.0.11", "127.0.0.12", "127.0.0.13"
	onHost, undeclared = "127.0.0.21", "127.0.0.22"
	excluded, off      = "127.0.0.23", "127.0.0.24"
	unknown            = "127.0.0.99"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

type sent struct {
	labels  map[string]string
	name    string
	profile *profile.Profile
}

// world is a receiver on a real socket before the pods of a node.
type world struct {
	*Receiver
	t    *testing.T
	url  string
	sent []sent // by one request after another
}

func newWorld(t *testing.T) *world {
	t.Helper()
	service := func(name, source string, hz uint32, types ...string) identity.Service {
		made := identity.Service{
			Name: name, Team: name + "-team", Namespace: "shop", Selector: map[string]string{"app": name}, Hz: hz, Types: types, CPUSource: source,
		}
		made.Labels.Version, made.Labels.GitRef, made.Labels.Track = "version", "ref", "track"
		return made
	}
	node := identity.NewNode("n1", &identity.Declared{
		BaseHz: 99, ExcludedNamespaces: []string{"vault"},
		Services: []identity.Service{
			service("cart", "ebpf", 99, "cpu", "alloc"), service("search", "agent", 99, "cpu", "wall"),
			service("web", "ebpf", 99, "cpu", "wall"), service("off", "ebpf", 0, "cpu"),
		},
	})
	pod := func(namespace, app, address string) identity.Pod {
		return identity.Pod{
			Namespace: namespace, Name: app + "-0", Labels: map[string]string{"app": app, "version": "1.2", "ref": sha, "track": "canary"},
			Addresses: []netip.Addr{netip.MustParseAddr(address)}, Only: "main",
		}
	}
	host := pod("shop", "cart", onHost)
	host.HostNetwork = true
	node.SetPods(map[string]identity.Pod{
		"1": pod("shop", "cart", cart), "2": pod("shop", "search", search), "3": pod("shop", "web", web), "4": host,
		"5": pod("shop", "nobody", undeclared), "6": pod("vault", "cart", excluded), "7": pod("shop", "off", off),
	})
	w := &world{t: t}
	send := func(source identity.Source, name string, p *profile.Profile) error {
		w.sent = append(w.sent, sent{source.Labels, name, p.Copy()})
		return nil
	}
	here := func(_ context.Context, from jfr.Recording) (found []jfr.Profile, err error) {
		err = jfr.Parse(from, func(one jfr.Profile) error { found = append(found, one); return nil })
		return found, err
	}
	w.Receiver = New(node, send, here, prometheus.NewRegistry())
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// from is a client at a pod's address.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (w *world) post(address, path, kind string, body []byte) (int, string) {
	w.t.Helper()
	response, err := from(w.t, address).Post(w.url+path, kind, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

func (w *world) refused(reason identity.Refusal) float64 {
	return testutil.ToFloat64(w.metrics.refused.WithLabelValues(string(reason)))
}

// taken are what was sent, as words.
func (w *world) taken() []string {
	var all []string
	for _, one := range w.sent {
		var types []string
		for _, kind := range one.profile.SampleType {
			types = append(types, kind.Type)
		}
		all = append(all, fmt.Sprintf("%s %s: %s", one.labels["service_name"], one.name, strings.Join(types, " ")))
	}
	return all
}

// of is a profile of such types, each sample of which claims to be another's.
func of(t testing.TB, period string, types ...string) []byte {
	t.Helper()
	function := &profile.Function{ID: 1, Name: "main.main"}
	location := &profile.Location{ID: 1, Line: []profile.Line{{Function: function}}}
	p := &profile.Profile{
		PeriodType: &profile.ValueType{Type: period, Unit: "nanoseconds"}, Period: 1,
		Function: []*profile.Function{function}, Location: []*profile.Location{location},
		Sample: []*profile.Sample{{Location: []*profile.Location{location}, Label: map[string][]string{
			"team": {"other"}, "service_git_ref": {"other"}, "version": {"other"}, "span_id": {"0123456789abcdef"},
		}}},
	}
	for _, kind := range types {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: kind, Unit: "nanoseconds"})
		p.Sample[0].Value = append(p.Sample[0].Value, 7)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func formOf(t testing.TB, fields map[string][]byte) (kind string, body []byte) {
	t.Helper()
	var out bytes.Buffer
	writer := multipart.NewWriter(&out)
	for name, text := range fields {
		field, err := writer.CreateFormFile(name, name)
		if err == nil {
			_, err = field.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return writer.FormDataContentType(), out.Bytes()
}
