package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/client_golang/prometheus"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/audit"
	"flameplane.dev/dataplane/internal/caller"
	"flameplane.dev/dataplane/internal/devstore"
	"flameplane.dev/dataplane/internal/door"
	"flameplane.dev/dataplane/internal/grants"
	"flameplane.dev/dataplane/internal/settings"
)

// site is devstore and a door in this process, with the surroundings that the benchmark makes. The programs themselves,
// and HAProxy, are the benchmark's.
type site struct {
	folder, store, door string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{folder: t.TempDir()}
	around, err := surround(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = around.Close() })
	limits := devstore.DefaultLimits()
	limits.IngestionRateMB = 0
	store, err := devstore.Open(devstore.Options{
		Data: t.TempDir(), Limits: &limits, Registry: prometheus.NewRegistry(), BodyMegabytes: 16, SweepEvery: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewServer(store.Handler())
	t.Cleanup(func() { backend.Close(); _ = store.Close() })
	s.store = backend.URL
	s.open(t, around)
	return s
}

func (s *site) open(t *testing.T, around *surroundings) {
	t.Helper()
	folders := settings.Folders{Config: filepath.Join(s.folder, "gateway.yaml"), Gate: s.folder}
	for path, text := range map[string]string{
		folders.Config: fmt.Sprintf(`
backend: {write: %[1]s, read: %[1]s, settings: %[1]s}
people: {issuer: '%[2]s', audience: flameplane, groupsClaim: groups, platformGroups: []}
tenants: [{tenant: payments, longterm: payments-longterm, readers: [payments-engineers]}]
programs: {audience: flameplane-gateway, accounts: [{account: flameplane-node/flameplane-node, write: team}]}
limits: {bodyMegabytes: 1, answerMegabytes: 8, requestsPerSecond: 100000, pushesPerSecond: 100000, concurrentQueries: 100, windowDays: 31, maxNodes: 16384}
pluginSettings: {}
`, s.store, around.issuer()),
		filepath.Join(s.folder, "trust.yaml"):    "issuers: []\naudience: gate\n",
		filepath.Join(s.folder, "services.yaml"): "services: []\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	watched, err := settings.Watch(folders, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(s.folder, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	tokens, err := authentication.NewForConfig(&rest.Config{Host: around.issuer(), TLSClientConfig: rest.TLSClientConfig{CAData: authority}, QPS: 100})
	if err != nil {
		t.Fatal(err)
	}
	to, err := door.NewBackend(watched.State().Gateway.Backend, 8, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	journal, err := audit.Open(filepath.Join(s.folder, "audit"), "gateway-0", nil, audit.Limits{Segment: 1 << 30, Every: time.Hour, Budget: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	server := httptest.NewServer(door.New(door.Parts{
		Settings: watched, Callers: caller.NewVerifier(client, tokens.TokenReviews()), Journal: journal, Grants: grants.None{},
		Backend: to, Metrics: door.NewMetrics(prometheus.NewRegistry()),
	}))
	t.Cleanup(server.Close)
	s.door = server.URL
}

// load runs one short round by the direct path and by the door.
func (s *site) load(t *testing.T) (*results, error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"backend": s.store, "tokens": s.folder, "ids": s.folder, "pushes": true, "profiles": 1, "rounds": 1, "seconds": 0.01, "connections": 2, "mixed": 1,
		"paths": []path{
			{Name: "direct", URL: s.store, Headers: map[string]string{"X-Scope-OrgID": team}},
			{Name: "gateway", URL: s.door, Tokens: true, Records: true, PID: os.Getpid()},
		},
	})
	file := filepath.Join(s.folder, "plan.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	plan, err := readPlan(file)
	if err != nil {
		t.Fatal(err)
	}
	return plan.run()
}

func TestARoundAsksEverythingOnEachPathAndCountsWhatWasAnswered(t *testing.T) {
	s := newSite(t)
	found, err := s.load(t)
	if err != nil {
		t.Fatal(err)
	}
	const calls, loads, paths, rounds = 4, 2, 2, 2
	if len(found.Bursts) != calls*loads*paths*rounds {
		t.Fatalf("%d bursts", len(found.Bursts))
	}
	asked := 0
	for _, one := range found.Bursts {
		if one.Requests < one.Connections || one.Rate <= 0 || one.P50 <= 0 || one.P99 < one.P50 {
			t.Fatalf("%+v", one)
		}
		if one.Path == "gateway" {
			asked += one.Requests
		}
	}
	text, err := os.ReadFile(filepath.Join(s.folder, "gateway.ids"))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for id := range strings.Lines(string(text)) {
		ids[id] = true
	}
	const mixed, strangers = 2 * (4 + 3), 2 * 10
	if len(ids) != asked+mixed+strangers || found.Answered["gateway"] != len(ids) || found.Refused["gateway"] != mixed*3/7+strangers {
		t.Fatalf("%d ids, %d asked, %v, %v", len(ids), asked, found.Answered, found.Refused)
	}
	lines, refused := 0, 0
	files, _ := filepath.Glob(filepath.Join(s.folder, "audit", "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), `"http_request"`)
		refused += strings.Count(string(text), `"action_id":2`)
	}
	if lines != len(ids) || refused != found.Refused["gateway"] {
		t.Fatalf("%d lines, %d of refusals", lines, refused)
	}
}

// A door that answers something else, or leaves something out, is not measured.
func TestAnAnswerThatIsAnotherEndsABurst(t *testing.T) {
	names := &call{
		name: "names", kind: asJSON, path: querier + "LabelNames", status: http.StatusOK,
		answer: &typesv1.LabelNamesResponse{Names: []string{"namespace", "service_name"}},
	}
	for _, one := range []struct {
		status int
		later  string // what comes after one good answer
		good   bool
	}{
		{200, `{"names":["namespace","service_name"]}`, true},
		{200, `{"names": ["namespace", "service_name"]}`, true},
		{200, `{"names":["service_name","namespace"]}`, false},
		{200, `{"names":["namespace"]}`, false},
		{200, `{"names":["namespace","service_name"]`, false},
		{200, ``, false},
		{202, `{"names":["namespace","service_name"]}`, false},
		{429, `{"code":"resource_exhausted"}`, false},
	} {
		for after := range 2 {
			answers := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if answers++; answers <= after {
					fmt.Fprint(w, `{"names":["namespace","service_name"]}`)
					return
				}
				w.WriteHeader(one.status)
				fmt.Fprint(w, one.later)
			}))
			seen, err := burst(&path{URL: server.URL}, []*call{names}, 1, until{most: 3})
			if (err == nil) != one.good || one.good && len(seen.times) != 3 {
				t.Errorf("%d %s after %d: %d answers, %v", one.status, one.later, after, len(seen.times), err)
			}
			server.Close()
		}
	}
}

func TestWhatIsAskedForWrongly(t *testing.T) {
	for _, arguments := range [][]string{{}, {"serve"}, {"surroundings"}, {"load"}, {"load", "-plan", "missing.json"}} {
		if err := run(arguments, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%v: no error", arguments)
		}
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	for _, text := range []string{"{", `{"paths":[]}`, `{"path":"direct"}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlan(file); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
