package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	authentication "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/objects/standin"
)

const (
	asGateway = "FLAMEPLANE_TEST_IS_THE_GATEWAY"
	apiServer = "FLAMEPLANE_TEST_API_SERVER" // its address, which is the site's
	merging   = "flameplane-system/flameplane-downsample"
)

// TestMain makes this program the gateway where a test asks for one that can be killed: the same `run`, which ships every
// fifth of a second instead of every minute, and waits for a second at a stop.
func TestMain(m *testing.M) {
	if os.Getenv(asGateway) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	inCluster = func() (*rest.Config, error) {
		return &rest.Config{Host: os.Getenv(apiServer), ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, nil
	}
	o := parsed()
	o.every, o.drain = time.Second/5, time.Second
	if err := run(ctx, o, io.Discard); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// site is what a gateway needs around it, in this process: identity provider, CI, backend, stand-ins of S3 and of the API
// server, which knows one token.
type site struct {
	t        *testing.T
	folder   string
	address  string
	store    *standin.Store
	issuer   string
	key      *ecdsa.PrivateKey
	merging  string // token of the merge job's pod
	process  *exec.Cmd
	messages *os.File
	held     chan struct{} // if it is there, the backend answers questions for names once it is closed
	entered  chan struct{} // gets one for each question that waits
}

func newSite(t *testing.T) *site { return newSlowSite(t, nil) }

func newSlowSite(t *testing.T, held chan struct{}) *site {
	t.Helper()
	s := &site{t: t, held: held, entered: make(chan struct{}, 10), folder: t.TempDir(), store: standin.New(t)}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(querierv1connect.NewQuerierServiceHandler(pyroscope{held: s.held, entered: s.entered}))
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.issuer, "jwks_uri": s.issuer + "/keys"})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", s.reviewed)
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "1", Use: "sig"}}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.issuer = server.URL
	s.merging = s.token(map[string]any{"iss": "https://kubernetes.default.svc", "aud": "flameplane-gateway"})
	bucket := s.store.Settings()
	s.write("gateway.yaml", fmt.Sprintf(`
backend: {write: %[1]s, read: %[1]s, settings: %[1]s}
audit: {bucket: %[2]s, prefix: %[3]s, region: %[4]s, endpoint: '%[5]s'}
people: {issuer: %[1]s, audience: flameplane, groupsClaim: groups, platformGroups: []}
tenants: [{tenant: payments, longterm: payments-longterm, readers: [engineers]}]
programs: {audience: flameplane-gateway, accounts: [{account: %[6]s, read: tenants}]}
limits: {bodyMegabytes: 1, answerMegabytes: 8, requestsPerSecond: 100000, pushesPerSecond: 1, concurrentQueries: 100, windowDays: 31, maxNodes: 1}
pluginSettings: {}
`, s.issuer, bucket.Bucket, bucket.Prefix, bucket.Region, bucket.Endpoint, merging))
	s.write("gate/trust.yaml", "issuers: ['"+s.issuer+"/ci']\naudience: gate\n")
	mux.HandleFunc("/ci/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.issuer + "/ci", "jwks_uri": s.issuer + "/keys"})
	})
	s.write("gate/services.yaml", "services:\n- {service: checkout, repository: '"+s.issuer+
		"/ci/acme/checkout', reads: {tenant: payments, types: [cpu], windowMinutes: 20}, gate: {topN: 5}}\n")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	_ = listener.Close()
	return s
}

// reviewed answers for the API server.
func (s *site) reviewed(w http.ResponseWriter, r *http.Request) {
	var review authentication.TokenReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if review.Spec.Token == s.merging {
		one := authentication.ExtraValue{"one"}
		review.Status = authentication.TokenReviewStatus{Authenticated: true, Audiences: review.Spec.Audiences, User: authentication.UserInfo{
			Username: "system:serviceaccount:" + strings.Replace(merging, "/", ":", 1),
			Extra: map[string]authentication.ExtraValue{
				"authentication.kubernetes.io/pod-name": one, "authentication.kubernetes.io/pod-uid": one,
			},
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) audit() string { return filepath.Join(s.folder, "audit") }

// start runs a gateway and waits until it answers.
func (s *site) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = exec.Command(self, "--listen="+s.address, "--metrics=127.0.0.1:0", "--audit="+s.audit(),
		"--config="+filepath.Join(s.folder, "gateway.yaml"), "--ci-gate="+filepath.Join(s.folder, "gate"))
	s.process.Env = append(os.Environ(), asGateway+"=1", "POD_NAME=gateway-0", apiServer+"="+s.issuer)
	if s.messages, err = os.OpenFile(filepath.Join(s.folder, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.process.Stderr = s.messages
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.process.Process.Kill() })
	for range 1200 {
		if connection, err := net.Dial("tcp", s.address); err == nil {
			_ = connection.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatal("the gateway does not listen: " + s.said())
}

// end sends a signal and waits for the process.
func (s *site) end(signal os.Signal) error {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	err := s.process.Wait()
	_ = s.messages.Close()
	return err
}

func (s *site) said() string {
	text, _ := os.ReadFile(filepath.Join(s.folder, "stderr"))
	return string(text)
}

func (s *site) token(claims map[string]any) string {
	s.t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, options)
	if err != nil {
		s.t.Fatal(err)
	}
	claims["sub"], claims["iat"], claims["exp"] = "ann", time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// call is one kind of request.
type call struct {
	path, token, body string
	whole             bool // a whole profile: it waits for an anchor
}

func (s *site) calls() []call {
	person := s.token(map[string]any{"iss": s.issuer, "aud": "flameplane", "email": "ann@example.com", "groups": []string{"engineers"}})
	now := time.Now()
	window := fmt.Sprintf(`"start":"%d","end":"%d"`, now.Add(-5*time.Minute).UnixMilli(), now.UnixMilli())
	const service = "/querier.v1.QuerierService/"
	return []call{
		{path: "/tenant/payments" + service + "LabelNames", token: person, body: "{" + window + "}"},
		{path: "/tenant/search" + service + "LabelNames", token: person, body: "{" + window + "}"}, // refused
		{path: "/tenant/payments" + service + "SelectMergeProfile", token: s.merging, whole: true, body: "{" + window +
			`,"profile_typeID":"process_cpu:cpu:nanoseconds:cpu:nanoseconds","label_selector":"{service_name=\"checkout\"}"}`},
	}
}

// ask sends one request; an answer counts once all of it is here.
func (s *site) ask(client *http.Client, one call) (int, string, error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+s.address+one.path, strings.NewReader(one.body))
	if err != nil {
		return 0, "", err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + one.token}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, "", err
	}
	return response.StatusCode, response.Header.Get("X-Request-Id"), nil
}

// pyroscope answers what is asked here, and nothing else.
type pyroscope struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	held, entered chan struct{}
}

func (p pyroscope) LabelNames(context.Context, *connect.Request[typesv1.LabelNamesRequest]) (*connect.Response[typesv1.LabelNamesResponse], error) {
	if p.held != nil {
		p.entered <- struct{}{}
		<-p.held
	}
	return connect.NewResponse(&typesv1.LabelNamesResponse{Names: []string{"service_name"}}), nil
}

func (pyroscope) SelectMergeProfile(context.Context, *connect.Request[querierv1.SelectMergeProfileRequest]) (*connect.Response[googlev1.Profile], error) {
	return connect.NewResponse(&googlev1.Profile{StringTable: []string{"", "main.secret"}}), nil
}
