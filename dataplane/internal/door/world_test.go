package door

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/client_golang/prometheus"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flameplane.dev/dataplane/internal/audit"
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

// issuer is an identity provider.
type issuer struct {
	url   string
	mutex sync.Mutex
	keys  map[string]crypto.Signer
	kid   string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	found := &issuer{keys: map[string]crypto.Signer{}}
	found.rotate(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": found.url, "jwks_uri": found.url + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		found.mutex.Lock()
		defer found.mutex.Unlock()
		var set jose.JSONWebKeySet
		for kid, key := range found.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	found.url = server.URL
	return found
}

func (i *issuer) rotate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.kid = rand.Text()
	i.keys = map[string]crypto.Signer{i.kid: key}
}

func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return signed(t, jose.ES256, i.keys[i.kid], i.kid, i.claims(claims))
}

func (i *issuer) claims(claims map[string]any) map[string]any {
	now := time.Now()
	whole := map[string]any{"iss": i.url, "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(whole, claims)
	return whole
}

func signed(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// reviews is the part of an API server that knows service accounts' tokens.
type reviews struct {
	mutex sync.Mutex
	known map[string]authentication.UserInfo
}

func (r *reviews) know(token, account, pod string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known == nil {
		r.known = map[string]authentication.UserInfo{}
	}
	user := authentication.UserInfo{Username: "system:serviceaccount:" + strings.Replace(account, "/", ":", 1), Extra: map[string]authentication.ExtraValue{}}
	if pod != "" {
		user.Extra["authentication.kubernetes.io/pod-name"] = []string{pod}
		user.Extra["authentication.kubernetes.io/pod-uid"] = []string{"uid-of-" + pod}
	}
	r.known[token] = user
}

func (r *reviews) Create(
	_ context.Context, asked *authentication.TokenReview, _ meta.CreateOptions,
) (*authentication.TokenReview, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	user, ok := r.known[asked.Spec.Token]
	return &authentication.TokenReview{Status: authentication.TokenReviewStatus{
		Authenticated: ok, User: user, Audiences: asked.Spec.Audiences,
	}}, nil
}

// memory uses grants up for all replicas of a test.
type memory struct {
	mutex sync.Mutex
	used  map[string]bool
}

func newMemory() *memory { return &memory{used: map[string]bool{}} }

func (m *memory) Use(_ context.Context, grant *settings.Grant, _ string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.used[grant.Name()] {
		return grants.ErrUsed
	}
	m.used[grant.Name()] = true
	return nil
}

// journal keeps records, or fails.
type journal struct {
	mutex   sync.Mutex
	records []audit.Record
	full    bool
}

func (j *journal) Write(_ context.Context, record *audit.Record) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.full {
		return errors.New("no space left on device")
	}
	j.records = append(j.records, *record)
	return nil
}

func (j *journal) Promise(context.Context, *audit.Record) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.full {
		return errors.New("no space left on device")
	}
	return nil
}

func (j *journal) all() []audit.Record {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return append([]audit.Record{}, j.records...)
}

// anchors stand for the shipper: they note how many records there were, or fail after some.
type anchors struct {
	of    *journal
	mutex sync.Mutex
	noted []int
	fail  bool
	after int // that many that work
}

func (a *anchors) Anchor(context.Context) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.fail && a.after == 0 {
		return errors.New("the object store cannot be reached")
	}
	a.after--
	a.noted = append(a.noted, len(a.of.all()))
	return nil
}

// backend answers like Pyroscope and remembers what reached it.
type backend struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	url   string
	mutex sync.Mutex
	calls []reached
}

type reached struct {
	path   string
	query  url.Values
	header http.Header
	body   []byte
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	found, mux := &backend{}, http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(found))
	mux.Handle(querierv1connect.NewQuerierServiceHandler(found))
	mux.HandleFunc("/pyroscope/render", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Of-The-Backend", "1")
		fmt.Fprintf(w, "secret %s of %s", r.URL.Query().Get("format"), r.Header.Get(tenantHeader))
	})
	for _, plain := range []string{"/ingest", "/pyroscope/ingest", otlpPath, "/pyroscope/render-diff"} {
		mux.HandleFunc(plain, func(http.ResponseWriter, *http.Request) {})
	}
	exported := func(context.Context, *connect.Request[profiles.ExportProfilesServiceRequest]) (*connect.Response[profiles.ExportProfilesServiceResponse], error) {
		return connect.NewResponse(&profiles.ExportProfilesServiceResponse{}), nil
	}
	mux.Handle(otlpProcedure, connect.NewUnaryHandler(otlpProcedure, exported))
	found.url = served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		found.mutex.Lock()
		found.calls = append(found.calls, reached{r.URL.Path, r.URL.Query(), r.Header.Clone(), body})
		found.mutex.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		mux.ServeHTTP(w, r)
	}))
	return found
}

func (b *backend) all() []reached {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return append([]reached{}, b.calls...)
}

func (b *backend) LabelNames(_ context.Context, r *connect.Request[typesv1.LabelNamesRequest]) (*connect.Response[typesv1.LabelNamesResponse], error) {
	answer := connect.NewResponse(&typesv1.LabelNamesResponse{Names: []string{"of-" + r.Header().Get(tenantHeader)}})
	answer.Header().Set("X-Of-The-Backend", "1")
	return answer, nil
}

func (b *backend) SelectMergeStacktraces(_ context.Context, r *connect.Request[querierv1.SelectMergeStacktracesRequest]) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	answer := &querierv1.SelectMergeStacktracesResponse{}
	switch r.Msg.Format {
	case querierv1.ProfileFormat_PROFILE_FORMAT_PPROF:
		answer.Pprof = &querierv1.PprofProfile{Profile: &googlev1.Profile{StringTable: []string{"", "main.secret"}}}
	case querierv1.ProfileFormat_PROFILE_FORMAT_DOT:
		answer.Dot = "digraph { secret }"
	case querierv1.ProfileFormat_PROFILE_FORMAT_TREE:
		answer.Tree = []byte("secret")
	default:
		answer.Flamegraph = &querierv1.FlameGraph{Names: []string{"total", r.Header().Get(tenantHeader)}, Total: 1}
	}
	return connect.NewResponse(answer), nil
}

func (b *backend) SelectMergeProfile(context.Context, *connect.Request[querierv1.SelectMergeProfileRequest]) (*connect.Response[googlev1.Profile], error) {
	return connect.NewResponse(&googlev1.Profile{StringTable: []string{"", "main.secret"}}), nil
}

func (b *backend) SelectSeries(_ context.Context, r *connect.Request[querierv1.SelectSeriesRequest]) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	if strings.Contains(r.Msg.LabelSelector, "broken") {
		failed := connect.NewError(connect.CodeInternal, errors.New("the index is gone"))
		failed.Meta().Set("X-Secret", "1")
		return nil, failed
	}
	return connect.NewResponse(&querierv1.SelectSeriesResponse{}), nil
}

func (b *backend) Push(context.Context, *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}
