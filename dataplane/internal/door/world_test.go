package door

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/caller"
	"flameplane.dev/dataplane/internal/grants"
	"flameplane.dev/dataplane/internal/settings"
)

// world is a gateway between an identity provider, an API server and a backend that all run in this process: the door is
// the real one, on a real socket. What Pyroscope itself does with what is forwarded is for attacks_backend_test.go.
type world struct {
	t        *testing.T
	url      string
	door     http.Handler
	issuer   *issuer
	ci       *issuer
	backend  *backend // nil before a real one
	journal  *journal
	anchors  *anchors
	reviews  *reviews
	leases   *memory
	folders  settings.Folders
	settings *settings.Watched
}

const gatewayYAML = `
backend: {write: BACKEND, read: BACKEND, settings: BACKEND}
people: {issuer: ISSUER, audience: flameplane, groupsClaim: groups, platformGroups: [platform]}
tenants:
- {tenant: payments, longterm: payments-longterm, readers: [payments-engineers]}
- {tenant: catalog, longterm: catalog-longterm, readers: [catalog-engineers, both]}
- {tenant: search, longterm: search-longterm, readers: [both]}
programs:
  audience: flameplane-gateway
  accounts:
  - {account: flameplane-node/flameplane-node, write: team}
  - {account: flameplane-system/flameplane-downsample, read: tenants, write: longterm}
  - {account: flameplane-system/flameplane-cost-report, read: totals}
limits: {bodyMegabytes: 1, answerMegabytes: 8, requestsPerSecond: 1000, pushesPerSecond: 1000, concurrentQueries: 50, windowDays: 31, maxNodes: 16384}
pluginSettings: {enableFlameGraphDotComExport: false}
`

// newWorld has a backend that remembers what reached it.
func newWorld(t *testing.T) *world {
	t.Helper()
	standIn := newBackend(t)
	w := before(t, standIn.url)
	w.backend = standIn
	return w
}

// before is a world whose door stands before the backend at “address“, whichever it is.
func before(t *testing.T, address string) *world {
	t.Helper()
	w := &world{t: t, issuer: newIssuer(t), ci: newIssuer(t), journal: &journal{}, reviews: &reviews{}, leases: newMemory()}
	w.anchors = &anchors{of: w.journal}
	folder := t.TempDir()
	w.folders = settings.Folders{Config: filepath.Join(folder, "gateway.yaml"), Gate: filepath.Join(folder, "gate"), Grants: filepath.Join(folder, "grants")}
	for _, one := range []string{w.folders.Gate, w.folders.Grants} {
		if err := os.Mkdir(one, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("BACKEND", address, "ISSUER", w.issuer.url).Replace(gatewayYAML)
	w.write(w.folders.Config, text)
	w.write(filepath.Join(w.folders.Gate, "trust.yaml"), "issuers: ['"+w.ci.url+"']\naudience: flameplane-gate\n")
	w.write(filepath.Join(w.folders.Gate, "services.yaml"), "services:\n- {service: checkout, repository: '"+w.ci.url+
		"/acme/checkout', reads: {tenant: payments, types: [cpu], windowMinutes: 20}, gate: {topN: 5}}\n")
	w.start(w.leases)
	return w
}

// start serves one replica; several share the store of grants.
func (w *world) start(store grants.Store) {
	w.t.Helper()
	watched, err := settings.Watch(w.folders, func(error) {})
	if err != nil {
		w.t.Fatal(err)
	}
	state := watched.State()
	client, err := NewBackend(state.Gateway.Backend, state.Gateway.Limits.AnswerMegabytes, prometheus.NewRegistry())
	if err != nil {
		w.t.Fatal(err)
	}
	w.settings = watched
	door := New(Parts{
		Settings: watched, Callers: caller.NewVerifier(http.DefaultClient, w.reviews), Journal: w.journal, Anchors: w.anchors,
		Grants: store, Backend: client, Metrics: NewMetrics(prometheus.NewRegistry()),
	})
	w.door, w.url = door, served(w.t, door)
}

// served is the address of a handler, in HTTP/1.1 and in HTTP/2 without TLS.
func served(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// grant puts one into the folder and has the gateway read it.
func (w *world) grant(id, requester, service, format string, from, to, expires time.Time) {
	w.t.Helper()
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"apiVersion": "flameplane.dev/v1", "kind": "ExportGrant",
		"metadata": map[string]any{"name": id, "granted": time.Now().Add(-time.Hour)},
		"spec": map[string]any{
			"requester": requester, "approver": "lead@example.com", "team": "payments", "service": service, "format": format,
			"purpose": "a bug report", "expires": expires, "window": map[string]any{"from": from, "to": to},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(w.folders.Grants, id+".yaml"), string(text))
	w.settings.Look()
	if _, ok := w.settings.State().Grants[id]; !ok {
		w.t.Fatal("the grant was not read")
	}
}

// person's token, with these groups.
func (w *world) person(groups ...string) string {
	return w.issuer.token(w.t, map[string]any{"aud": "flameplane", "email": "ann@example.com", "groups": groups})
}

// program's token, bound to a pod.
func (w *world) program(account string) string {
	w.t.Helper()
	// The API server alone can tell; it is asked because of the audience.
	token := newIssuer(w.t).token(w.t, map[string]any{"aud": []string{"flameplane-gateway"}, "sub": account})
	w.reviews.know(token, account, "pod-1")
	return token
}
