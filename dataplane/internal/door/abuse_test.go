package door

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"github.com/prometheus/client_golang/prometheus/testutil"
	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flameplane.dev/dataplane/internal/caller"
)

// What costs memory, disk or other servers' time is asked for by whoever likes; none of it may grow with the asking.

func TestNobodyFillsTheRecord(t *testing.T) {
	w := newWorld(t)
	for range straysBurst * 3 {
		request, _ := http.NewRequest(http.MethodPost, w.url+"/nowhere", nil)
		if answer, err := http.DefaultTransport.RoundTrip(request); err == nil {
			answer.Body.Close()
		}
	}
	if lines := len(w.journal.all()); lines > straysBurst*2 {
		t.Errorf("%d requests without a token left %d lines", straysBurst*3, lines)
	}
}

// knocks counts how many of so many requests get an answer, and what the last of them is.
func (w *world) knocks(count int, token string) (answered, status int) {
	w.t.Helper()
	for range count {
		request, _ := http.NewRequest(http.MethodPost, w.url+names, nil)
		request.Header.Set("Authorization", "Bearer "+token)
		if answer, err := http.DefaultTransport.RoundTrip(request); err == nil {
			answer.Body.Close()
			answered, status = answered+1, answer.StatusCode
		}
	}
	return answered, status
}

// Behind a load balancer all come from one address. Who signed in yesterday is told so, whoever else knocks from there.
func TestAStrayLocksNobodyElseOut(t *testing.T) {
	w := newWorld(t)
	ended := func(subject string, since time.Duration) string {
		return w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": subject, "groups": []string{reader}, "exp": time.Now().Add(-since).Unix()})
	}
	w.door.(*Door).strays = newStrays(0, 10)
	if answered, _ := w.knocks(20, "made.up.token"); answered != 10 {
		t.Fatalf("%d were answered", answered)
	}
	if answered, status := w.knocks(50, ended("ann", time.Hour)); answered != 50 || status != http.StatusUnauthorized {
		t.Errorf("who was here today: %d answers, %d", answered, status)
	}
	if record := w.last(); record.Subject != "ann" || record.Rule != "token" || record.Allowed {
		t.Errorf("%+v", record)
	}
	for name, token := range map[string]string{
		"two days ago":     ended("ann", 48*time.Hour),
		"another audience": w.issuer.token(t, map[string]any{"aud": "grafana", "exp": time.Now().Add(-time.Hour).Unix()}),
		"another's key":    newIssuer(t).token(t, map[string]any{"iss": w.issuer.url, "aud": "flameplane", "exp": time.Now().Add(-time.Hour).Unix()}),
		"no time at all":   w.issuer.token(t, map[string]any{"aud": "flameplane", "exp": nil}),
	} {
		if answered, _ := w.knocks(3, token); answered != 0 {
			t.Errorf("%s: %d answers", name, answered)
		}
	}
}

func TestAnExpiredTokenFillsNoRecord(t *testing.T) {
	w := newWorld(t)
	w.door.(*Door).expired = newStrays(0, 10)
	token := w.issuer.token(t, map[string]any{"aud": "flameplane", "exp": time.Now().Add(-time.Hour).Unix()})
	answered, _ := w.knocks(30, token)
	if lines := len(w.journal.all()); answered != 10 || lines != 10 {
		t.Errorf("%d answers, %d lines", answered, lines)
	}
	if status, body := w.post(w.person(reader), names, query("")); status != http.StatusOK {
		t.Errorf("with a new token: %d %s", status, body)
	}
}

func TestALineIsShortWhateverIsAsked(t *testing.T) {
	w := newWorld(t)
	gzip := header("Content-Encoding", "gzip")
	var matchers []string
	for i := range 2000 {
		matchers = append(matchers, fmt.Sprintf(`"{service_name=\"svc-%d%s\"}"`, i, strings.Repeat("x", 60)))
	}
	tokens := []string{w.person("nobody"), w.person(reader), w.ci.token(t, map[string]any{"aud": "flameplane-gate", "repository": "evil/evil"})}
	for _, token := range tokens {
		w.post(token, stacks, zipped(query(`,"profile_typeID":"`+strings.Repeat("<", 200<<10)+`"`)), gzip)
		w.post(token, names, zipped(query(`,"matchers":[`+strings.Join(matchers, ",")+`]`)), gzip)
	}
	w.post(w.program(agent), "/push.v1.PusherService/Push", zipped(`{"series":[`+seriesOf("a")+`,`+seriesOf(strings.Repeat("b", 900<<10))+`]}`), gzip)
	for _, record := range w.journal.all() {
		if text, _ := json.Marshal(record); len(text) > 64<<10 {
			t.Errorf("%s by %s left a line of %d bytes", record.Path, record.Name, len(text))
		}
	}
}

func TestABodyOfWhoMayDoNothingIsNotRead(t *testing.T) {
	w := newWorld(t)
	foreign := w.ci.token(t, map[string]any{"aud": "flameplane-gate", "repository": "evil/evil"})
	bomb := zipped(strings.Repeat("\x0a\x00", 1<<20)) // a thousand times its size once it is decoded
	for token, rule := range map[string]string{foreign: "does-not-write", w.person(reader): "does-not-write", w.person("nobody"): "does-not-write"} {
		w.send(http.MethodPost, token, "/push.v1.PusherService/Push", "application/proto", []byte(bomb), header("Content-Encoding", "gzip"))
		if record := w.last(); record.Received != 0 || record.Rule != rule {
			t.Errorf("read %d bytes, rule %s", record.Received, record.Rule)
		}
	}
	w.post(w.person("nobody"), names, query(""))
	if record := w.last(); record.Received != 0 || record.Rule != "no-team" {
		t.Errorf("read %d bytes, rule %s", record.Received, record.Rule)
	}
	w.post(w.person(reader), names, query(`,"matchers":["{a=\"`+strings.Repeat("x", longestQuestion)+`\"}"]`))
	if record := w.last(); record.Allowed {
		t.Error("a question of more than it may say was let through")
	}
}

type counting struct{ asked atomic.Int64 }

func (c *counting) Create(context.Context, *authentication.TokenReview, meta.CreateOptions) (*authentication.TokenReview, error) {
	c.asked.Add(1)
	return &authentication.TokenReview{}, nil
}

func TestMadeUpTokensAskTheAPIServerSeldom(t *testing.T) {
	w, server := newWorld(t), &counting{}
	w.door.(*Door).Callers = caller.NewVerifier(http.DefaultClient, server)
	const most = 300 // burst, and a second or two
	for i := range 2 * most {
		made := parts(map[string]any{"alg": "x"}, map[string]any{"aud": "flameplane-gateway", "n": i}) + ".x"
		request, _ := http.NewRequest(http.MethodPost, w.url+names, strings.NewReader("{}"))
		request.Header.Set("Authorization", "Bearer "+made)
		if answer, err := http.DefaultTransport.RoundTrip(request); err == nil {
			answer.Body.Close()
		}
	}
	if asked := server.asked.Load(); asked == 0 || asked > most {
		t.Errorf("%d questions to the API server", asked)
	}
}

func TestAJobIsNobody(t *testing.T) {
	w := newWorld(t)
	job := w.issuer.token(t, map[string]any{"aud": "flameplane", "project_path": "evil/x", "groups": []string{reader}})
	if status, _ := w.post(job, names, query("")); status != http.StatusUnauthorized {
		t.Errorf("a CI job's token of the people's issuer: %d", status)
	}
	w.write(filepath.Join(w.folders.Gate, "trust.yaml"), "issuers: ['"+w.issuer.url+"/']\naudience: flameplane-gate\n")
	if _, err := w.folders.Read(); err == nil || !strings.Contains(err.Error(), "is trusted for CI as well") {
		t.Errorf("one issuer for people and CI: %v", err)
	}
}

func TestAForeignJobGetsNothingAtAll(t *testing.T) {
	w := newWorld(t)
	token := w.ci.token(t, map[string]any{"aud": "flameplane-gate", "repository": "evil/evil"})
	for _, path := range []string{querier + "GetProfileStats", "/version.v1.Version/Version", "/settings.v1.SettingsService/Get"} {
		status, _ := w.post(token, path, "{}")
		if record := w.last(); status != http.StatusForbidden || record.Allowed || record.Rule != "gate-scope" {
			t.Errorf("%s: %d, rule %s", path, status, record.Rule)
		}
	}
	if calls := w.backend.all(); len(calls) > 0 {
		t.Errorf("%d calls reached the backend", len(calls))
	}
}

func TestWhoIsOnRecord(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		said map[string]any
		name string
	}{
		{map[string]any{"email": "jane@example.com", "email_verified": "false"}, "s"},
		{map[string]any{"email": "jane@example.com", "email_verified": "true"}, "jane@example.com"},
		{map[string]any{"preferred_username": "jane@example.com"}, "s"},
		{map[string]any{"email": "ann@example.com", "email_verified": false, "preferred_username": "ann"}, "ann"},
	} {
		c.said["aud"], c.said["groups"], c.said["sub"] = "flameplane", []string{reader}, "s"
		w.post(w.issuer.token(t, c.said), names, query(""))
		if name := w.last().Name; name != c.name {
			t.Errorf("%v is on record as %s", c.said, name)
		}
	}
}

func TestWhatWasTriedIsOnRecord(t *testing.T) {
	w := newWorld(t)
	w.post(w.person(otherReader), names, query(""))
	if record := w.last(); record.Tenant != "payments" || record.Rule != "other-tenant" {
		t.Errorf("tenant %q, rule %s", record.Tenant, record.Rule)
	}
	w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if record := w.last(); record.Grant != "gift" || record.Allowed {
		t.Errorf("grant %q, allowed %v", record.Grant, record.Allowed)
	}
}

func TestADateIsNoTime(t *testing.T) {
	w := newWorld(t)
	for _, from := range []string{"20240101", "1", "now-999999d"} {
		asked := url.Values{"query": {cpu + `{service_name="checkout"}`}, "from": {from}, "until": {"now"}}
		status, _ := w.send(http.MethodGet, w.person(reader), "/tenant/payments/pyroscope/render?"+asked.Encode(), "", nil)
		if status != http.StatusBadRequest {
			t.Errorf("from=%s: %d", from, status)
		}
	}
}

// failing is a backend that answers late, or not.
type failing struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	late time.Duration
}

func (f failing) SelectMergeProfile(context.Context, *connect.Request[querierv1.SelectMergeProfileRequest]) (*connect.Response[googlev1.Profile], error) {
	if f.late == 0 {
		return nil, connect.NewError(connect.CodeInternal, context.Canceled)
	}
	time.Sleep(f.late)
	return connect.NewResponse(&googlev1.Profile{StringTable: []string{"", "main.secret"}}), nil
}

func TestAFailingBackendCostsNoGrant(t *testing.T) {
	_, handler := querierv1connect.NewQuerierServiceHandler(failing{})
	backend := httptest.NewServer(handler)
	w := before(t, backend.URL)
	giveAnn(w)
	w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	backend.Close()
	_, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if strings.Contains(string(body), "127.0.0.1") || w.last().Rule != "backend" {
		t.Errorf("rule %s: %s", w.last().Rule, body)
	}
	if exports := testutil.ToFloat64(w.door.(*Door).Metrics.exports); exports != 0 || len(w.leases.used) != 0 {
		t.Errorf("%v exports, used %v", exports, w.leases.used)
	}
}

func TestRenderOfAFailingBackendCostsNoGrant(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", 500) }))
	defer backend.Close()
	w := before(t, backend.URL)
	now := time.Now()
	w.grant("gift", "ann@example.com", "checkout", dot, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
	asked := url.Values{"query": {cpu + `{service_name="checkout"}`}, "from": {"now-10m"}, "until": {"now"}, "format": {"dot"}}
	status, _ := w.send(http.MethodGet, w.person(reader), "/tenant/payments/pyroscope/render?"+asked.Encode(), "", nil, header(grantHeader, "gift"))
	if status != http.StatusServiceUnavailable || len(w.leases.used) != 0 {
		t.Errorf("%d, used %v", status, w.leases.used)
	}
}

func TestAGrantEndsWhileTheBackendAnswers(t *testing.T) {
	_, handler := querierv1connect.NewQuerierServiceHandler(failing{late: 1500 * time.Millisecond})
	backend := httptest.NewServer(handler)
	defer backend.Close()
	w := before(t, backend.URL)
	now := time.Now()
	w.grant("gift", "ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Second))
	status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if status == http.StatusOK || strings.Contains(string(body), "main.secret") || len(w.leases.used) != 0 {
		t.Errorf("%d %.60s, used %v", status, body, w.leases.used)
	}
}
