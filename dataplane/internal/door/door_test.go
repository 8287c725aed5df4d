package door

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"golang.org/x/net/http2"

	"flameplane.dev/dataplane/internal/audit"
)

// last is the newest record.
func (w *world) last() audit.Record {
	w.t.Helper()
	all := w.journal.all()
	if len(all) == 0 {
		w.t.Fatal("nothing is on record")
	}
	return all[len(all)-1]
}

// tenants are those that the backend was asked for.
func (w *world) tenants() []string {
	var found []string
	for _, call := range w.backend.all() {
		found = append(found, strings.Join(call.header.Values(tenantHeader), ","))
	}
	return found
}

func (w *world) wants(status int, tenant, rule string, gotStatus int, body string) {
	w.t.Helper()
	record := w.last()
	if gotStatus != status || record.Rule != rule || record.Tenant != tenant || record.Allowed != (status < 400) {
		w.t.Fatalf("answered %d %s; on record: rule %q, tenant %q, allowed %v (%s)", gotStatus, body, record.Rule, record.Tenant, record.Allowed, record.Reason)
	}
	if tenants := w.tenants(); status < 400 && (len(tenants) == 0 || tenants[len(tenants)-1] != tenant) {
		w.t.Fatalf("the backend was asked for %v", tenants)
	}
}

func TestAReaderSeesTheOwnTeam(t *testing.T) {
	w := newWorld(t)
	status, body := w.post(w.person(reader), names, query(""))
	w.wants(200, "payments", "reader-of-team", status, body)
	if body != `{"names":["of-payments"]}` {
		t.Fatal(body)
	}
	record := w.last()
	if record.Name != "ann@example.com" || record.Kind != "person" || record.Operation != "names" || record.Bytes != len(body) || len(record.SHA256) != 64 {
		t.Fatalf("%+v", record)
	}
	status, body = w.post(w.person(reader), strings.TrimPrefix(names, "/tenant/payments"), query(""))
	w.wants(200, "payments", "reader-of-team", status, body)
	status, body = w.post(w.person(reader), strings.Replace(names, "payments", "payments-longterm", 1), query(""))
	w.wants(200, "payments-longterm", "reader-of-team", status, body)
	status, body = w.post(w.person("platform"), strings.Replace(names, "payments", "search", 1), query(""))
	w.wants(200, "search", "platform", status, body)
}

// The client's own tenant headers are never looked at, in whatever spelling, and nothing else of it reaches the backend.
func TestNothingOfTheClientReachesTheBackend(t *testing.T) {
	for _, spelling := range []string{"X-Scope-OrgID", "x-scope-orgid", "X-SCOPE-ORGID", "X_Scope_OrgID"} {
		w := newWorld(t)
		status, body := w.post(w.person(reader), names, query(""), header(spelling, "catalog", "catalog|search"),
			header("X-Pyroscope-Collect-Diagnostics", "true"), header("Cookie", "a=b"), header("X-Forwarded-User", "root"))
		w.wants(200, "payments", "reader-of-team", status, body)
		for _, call := range w.backend.all() {
			for key := range call.header {
				switch http.CanonicalHeaderKey(key) {
				case "X-Scope-Orgid", "Content-Type", "Content-Length", "Content-Encoding", "Accept-Encoding", "User-Agent", "Connect-Protocol-Version":
				default:
					t.Errorf("%s: %s reached the backend", spelling, key)
				}
			}
		}
	}
}

func TestNothingOfTheBackendReachesTheClient(t *testing.T) {
	w := newWorld(t)
	request, _ := http.NewRequest(http.MethodPost, w.url+names, strings.NewReader(query("")))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+w.person(reader))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.Header.Get("X-Of-The-Backend") != "" || response.Header.Get("X-Request-Id") != w.last().Request {
		t.Fatalf("%v", response.Header)
	}
	status, body := w.post(w.person(reader), strings.Replace(names, "LabelNames", "SelectSeries", 1), query(`,"label_selector":"{a=\"broken\"}","profile_typeID":"x","step":1`))
	if status != 500 || !strings.Contains(body, "the index is gone") || w.last().Code != "internal" || !w.last().Allowed {
		t.Fatalf("%d %s %+v", status, body, w.last())
	}
}

func TestEveryProtocolIsDecoded(t *testing.T) {
	w := newWorld(t)
	h2c := &http.Client{Transport: &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	start, end := window()
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "connect JSON": {connect.WithProtoJSON()}, "compressed": {connect.WithSendGzip()},
		"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}, "grpc JSON": {connect.WithGRPC(), connect.WithProtoJSON()},
	} {
		client := querierv1connect.NewQuerierServiceClient(h2c, w.url, options...)
		names := connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end})
		names.Header().Set("Authorization", "Bearer "+w.person(reader))
		names.Header().Set(tenantHeader, "catalog")
		answer, err := client.LabelNames(context.Background(), names)
		if err != nil || len(answer.Msg.Names) != 1 || answer.Msg.Names[0] != "of-payments" {
			t.Errorf("%s: %v %v", name, answer, err)
		}
		whole := connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: `{service_name="checkout"}`, Start: start, End: end, Format: 4})
		whole.Header().Set("Authorization", "Bearer "+w.person(reader))
		if _, err := client.SelectMergeStacktraces(context.Background(), whole); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: an export: %v", name, err)
		}
		names.Header().Set("Authorization", "Bearer nonsense")
		if _, err := client.LabelNames(context.Background(), names); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s: without a token: %v", name, err)
		}
	}
	if all := w.journal.all(); len(all) != 18 {
		t.Errorf("%d records", len(all))
	}
}

func TestProgramsReadAndWriteWhatTheyAreFor(t *testing.T) {
	w := newWorld(t)
	status, body := w.post(w.program("flameplane-node/flameplane-node"), "/push.v1.PusherService/Push", pushOf("payments"), header(tenantHeader, "catalog"))
	w.wants(200, "payments", "program-writes-team", status, body)
	merge := w.program("flameplane-system/flameplane-downsample")
	status, body = w.post(merge, "/push.v1.PusherService/Push", pushOf("payments"))
	w.wants(200, "payments-longterm", "program-writes-longterm", status, body)
	status, body = w.post(merge, strings.Replace(wholeOne, "payments", "catalog", 1), stacktracesOf(""))
	w.wants(200, "catalog", "program-reads-tenants", status, body)
	report := w.program("flameplane-system/flameplane-cost-report")
	status, body = w.post(report, strings.Replace(names, "LabelNames", "SelectSeries", 1), stacktracesOf(`,"step":60`))
	w.wants(200, "payments", "program-reads-totals", status, body)
	if record := w.last(); record.Account != "flameplane-system/flameplane-cost-report" || record.Pod != "pod-1" {
		t.Fatalf("%+v", record)
	}
}

func TestAJobReadsItsService(t *testing.T) {
	w := newWorld(t)
	status, body := job("checkout", "checkout", cpu, 15)(w)
	w.wants(200, "payments", "job-of-repository", status, body)
}

func TestAGrantLetsOneProfileLeaveOnce(t *testing.T) {
	now := time.Now()
	for call, format := range map[string]string{wholeOne: pprof, stacks: dot} {
		w := newWorld(t)
		w.grant("gift", "Ann@example.com", "checkout", format, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
		body := stacktracesOf("")
		if format == dot {
			body = stacktracesOf(`,"format":3`)
		}
		ann := w.person(reader)
		status, text := w.post(ann, call, body, header(grantHeader, "gift"))
		w.wants(200, "payments", "grant", status, text)
		if !strings.Contains(text, "secret") || !strings.Contains(text, "flameplane export grant gift") || w.last().Grant != "gift" {
			t.Fatalf("%s %+v", text, w.last())
		}
		status, text = w.post(ann, call, body, header(grantHeader, "gift"))
		if status != 403 || strings.Contains(text, "secret") || w.last().Rule != "grant-used" || w.last().Allowed {
			t.Fatalf("a second time: %d %s", status, text)
		}
	}
}

func TestAGrantIsGoodForWhatItSaysAndNothingElse(t *testing.T) {
	now := time.Now()
	type grant struct {
		requester, service, format string
		from, to, expires          time.Time
	}
	good := grant{"ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour)}
	for name, change := range map[string]func(g *grant){
		"somebody else's": func(g *grant) { g.requester = "bob@example.com" },
		"another service": func(g *grant) { g.service = "search" },
		"another format":  func(g *grant) { g.format = tree },
		"an earlier hour": func(g *grant) { g.to = now.Add(-5 * time.Minute) },
		"a later hour":    func(g *grant) { g.from = now.Add(-5 * time.Minute) },
		"expired":         func(g *grant) { g.expires = now.Add(-time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w, one := newWorld(t), good
			change(&one)
			w.grant("gift", one.requester, one.service, one.format, one.from, one.to, one.expires)
			status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
			if status != 403 || w.last().Rule != "grant-mismatch" || len(w.leases.used) != 0 || len(w.backend.all()) != 0 {
				t.Fatalf("%d %s %+v", status, body, w.last())
			}
		})
	}
	w := newWorld(t)
	w.grant("gift", good.requester, good.service, good.format, good.from, good.to, good.expires)
	status, _ := w.post(w.person(otherReader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if status != 403 || w.last().Rule != "other-tenant" {
		t.Fatalf("a grant opens another team: %d %+v", status, w.last())
	}
	// Who reads two teams takes nothing of the other one's, whatever its profiles call themselves; nor by a grant of none.
	for _, tenant := range []string{"catalog", "catalog-longterm", "payments-longterm"} {
		status, _ = w.post(w.person("platform"), strings.Replace(wholeOne, "payments", tenant, 1), stacktracesOf(""), header(grantHeader, "gift"))
		if wants := map[bool]int{true: 200, false: 403}[strings.HasPrefix(tenant, "payments")]; status != wants {
			t.Fatalf("%s: %d, not %d: %+v", tenant, status, wants, w.last())
		}
	}
	either := strings.Replace(stacktracesOf(""), `service_name=\"checkout\"`, `service_name=~\"checkout|search\"`, 1)
	if status, _ = w.post(w.person(reader), wholeOne, either, header(grantHeader, "gift")); status != 403 {
		t.Fatalf("two services: %d", status)
	}
}

func TestTwoReplicasAgreeOnAGrant(t *testing.T) {
	w, now := newWorld(t), time.Now()
	w.grant("gift", "ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
	urls := []string{w.url}
	w.start(w.leases)
	urls = append(urls, w.url)
	ann := w.person(reader)
	var group sync.WaitGroup
	var mutex sync.Mutex
	answers := map[int]int{}
	for i := range 20 {
		group.Go(func() {
			request, _ := http.NewRequest(http.MethodPost, urls[i%2]+wholeOne, strings.NewReader(stacktracesOf("")))
			request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + ann}, grantHeader: {"gift"}}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			mutex.Lock()
			defer mutex.Unlock()
			answers[response.StatusCode]++
		})
	}
	group.Wait()
	if answers[200] != 1 || answers[403] != 19 || len(w.journal.all()) != 20 {
		t.Fatalf("%v, %d records", answers, len(w.journal.all()))
	}
}

func TestExportsStopAndViewsGoOnWhenNothingCanBePutOnRecord(t *testing.T) {
	w, now := newWorld(t), time.Now()
	w.grant("gift", "ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
	w.journal.full = true
	if status, body := w.post(w.person(reader), names, query("")); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if status != 503 || strings.Contains(body, "secret") {
		t.Fatalf("%d %s", status, body)
	}
	merge := w.program("flameplane-system/flameplane-downsample")
	if status, body := w.post(merge, wholeOne, stacktracesOf("")); status != 503 || strings.Contains(body, "secret") {
		t.Fatalf("a program's: %d %s", status, body)
	}
}

func TestSettingsAreTheGatewaysOwn(t *testing.T) {
	w := newWorld(t)
	status, body := w.post(w.person(reader), "/tenant/payments/settings.v1.SettingsService/Get", "{}")
	if status != 200 || !strings.Contains(body, `enableFlameGraphDotComExport\":false`) || len(w.backend.all()) != 0 {
		t.Fatalf("%d %s", status, body)
	}
}

func TestTeamsComeAndGoWithoutARestart(t *testing.T) {
	w := newWorld(t)
	text, _ := os.ReadFile(w.folders.Config)
	added := strings.Replace(string(text), "tenants:\n", "tenants:\n- {tenant: fresh, longterm: fresh-longterm, readers: [newcomers]}\n", 1)
	w.write(w.folders.Config, added)
	w.settings.Look()
	status, body := w.post(w.person("newcomers"), strings.Replace(names, "payments", "fresh", 1), query(""))
	w.wants(200, "fresh", "reader-of-team", status, body)
	for _, broken := range []string{"tenants: [", strings.Replace(added, "fresh-longterm", "fresh|payments", 1), added + "\n---\n{}", added + "\nmore: 1\n"} {
		w.write(w.folders.Config, broken)
		w.settings.Look()
		status, body = w.post(w.person("newcomers"), strings.Replace(names, "payments", "fresh", 1), query(""))
		w.wants(200, "fresh", "reader-of-team", status, body)
	}
	w.write(filepath.Join(w.folders.Grants, "broken.yaml"), "{}")
	w.write(w.folders.Config, string(text)) // the team is gone: a broken grant keeps nobody in
	w.settings.Look()
	if w.settings.State().Bad == nil {
		t.Error("nobody says that a grant is broken")
	}
	if status, _ = w.post(w.person("newcomers"), strings.Replace(names, "payments", "fresh", 1), query("")); status != 403 {
		t.Fatalf("a team that is gone: %d", status)
	}
}

func TestATenantHasItsOwnShare(t *testing.T) {
	w := newWorld(t)
	text, _ := os.ReadFile(w.folders.Config)
	w.write(w.folders.Config, strings.Replace(string(text), "requestsPerSecond: 1000", "requestsPerSecond: 2", 1))
	w.settings.Look()
	answers := map[int]int{}
	for range 12 {
		status, _ := w.post(w.person(reader), names, query(""))
		answers[status]++
	}
	if answers[429] < 6 || answers[200] < 4 {
		t.Fatalf("%v", answers)
	}
	if status, _ := w.post(w.person(otherReader), strings.Replace(names, "payments", "catalog", 1), query("")); status != 200 {
		t.Fatalf("another tenant: %d", status)
	}
	if len(w.journal.all()) != 13 {
		t.Fatalf("%d records", len(w.journal.all()))
	}
}

func TestWhoKeepsKnockingGetsNoAnswer(t *testing.T) {
	w := newWorld(t)
	answered := 0
	for range straysBurst + 50 {
		request, _ := http.NewRequest(http.MethodPost, w.url+names, nil)
		if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
			response.Body.Close()
			answered++
		}
	}
	if answered == straysBurst+50 || answered < straysBurst || len(w.journal.all()) != answered {
		t.Fatalf("%d answers, %d records", answered, len(w.journal.all()))
	}
	if status, body := w.post(w.person(reader), names, query("")); status != 200 {
		t.Fatalf("whoever has a token: %d %s", status, body)
	}
}

func TestASlowBodyHoldsNoPlace(t *testing.T) {
	w := newWorld(t)
	connection, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", names, w.person(reader))
	connection.Close()
	deadline := time.Now().Add(10 * time.Second)
	for len(w.journal.all()) == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if record := w.last(); record.Allowed || record.Rule != "malformed" {
		t.Fatalf("%+v", record)
	}
}
