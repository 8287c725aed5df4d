package door

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// attack is a request that must give nothing away.
type attack struct {
	name string
	send func(w *world) (int, string)
	rule string // by which it is refused; empty where the connection is refused before there is a request
}

const (
	names       = "/tenant/payments/querier.v1.QuerierService/LabelNames"
	stacks      = "/tenant/payments/querier.v1.QuerierService/SelectMergeStacktraces"
	wholeOne    = "/tenant/payments/querier.v1.QuerierService/SelectMergeProfile"
	cpu         = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
	reader      = "payments-engineers"
	otherReader = "catalog-engineers"
)

func window() (int64, int64) {
	return time.Now().Add(-10 * time.Minute).UnixMilli(), time.Now().UnixMilli()
}

func query(more string) string {
	start, end := window()
	return fmt.Sprintf(`{"start":"%d","end":"%d"%s}`, start, end, more)
}

func stacktracesOf(more string) string {
	return query(fmt.Sprintf(`,"profile_typeID":%q,"label_selector":"{service_name=\"checkout\"}"%s`, cpu, more))
}

// post sends a JSON request; options change it.
func (w *world) post(token, path, body string, options ...func(*http.Request)) (int, string) {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, option := range options {
		option(request)
	}
	response, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// raw sends bytes as they are and reads the first answer.
func (w *world) raw(text string) (int, string) {
	w.t.Helper()
	address, _ := url.Parse(w.url)
	connection, err := net.Dial("tcp", address.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(connection, text); err != nil {
		w.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func header(key string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[key] = values }
}

// path sends the request line exactly as written.
func path(of string) func(w *world) (int, string) {
	return func(w *world) (int, string) {
		body := query("")
		return w.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			of, w.person(reader), len(body), body))
	}
}

func token(make func(w *world) string) func(w *world) (int, string) {
	return func(w *world) (int, string) { return w.post(make(w), names, query("")) }
}

func claimed(claims map[string]any) func(w *world) (int, string) {
	return token(func(w *world) string {
		whole := map[string]any{"aud": "flameplane", "groups": []string{reader}}
		for key, value := range claims {
			whole[key] = value
		}
		return w.issuer.token(w.t, whole)
	})
}

func asking(who string, path, body string, options ...func(*http.Request)) func(w *world) (int, string) {
	return func(w *world) (int, string) { return w.post(w.person(who), path, body, options...) }
}

func parts(values ...any) string {
	var found []string
	for _, value := range values {
		text, _ := json.Marshal(value)
		found = append(found, base64.RawURLEncoding.EncodeToString(text))
	}
	return strings.Join(found, ".")
}

var attacks = []attack{
	// whose tenant
	{"another team's tenant", asking(otherReader, names, query("")), "other-tenant"},
	{"another team's downsampled tenant", asking(otherReader, strings.Replace(names, "payments", "payments-longterm", 1), query("")), "other-tenant"},
	{"a tenant that does not exist", asking(reader, strings.Replace(names, "payments", "nobody", 1), query("")), "other-tenant"},
	{"two tenants in the path", asking(reader, strings.Replace(names, "payments", "payments%7Ccatalog", 1), query("")), "path"},
	{"a tenant in capitals", asking(reader, strings.Replace(names, "payments", "PAYMENTS", 1), query("")), "path"},
	{"a user of no team", asking("nobody", names, query("")), "no-team"},
	{"a user of two teams names none", asking("both", strings.TrimPrefix(names, "/tenant/payments"), query("")), "no-tenant"},
	{"a user of two teams names a third", asking("both", names, query("")), "other-tenant"},
	{"groups as a text", claimed(map[string]any{"groups": reader}), "token"},
	{"groups of numbers", claimed(map[string]any{"groups": []any{1, reader}}), "token"},

	// whose token
	{"no token", func(w *world) (int, string) { return w.post("", names, query("")) }, "token"},
	{"basic authentication", asking(reader, names, query(""), header("Authorization", "Basic YTpi")), "token"},
	{"two Authorization headers", func(w *world) (int, string) {
		return w.post("", names, query(""), header("Authorization", "Bearer "+w.person(otherReader), "Bearer "+w.person(reader)))
	}, "token"},
	{"a token in the query", func(w *world) (int, string) {
		return w.post("", names+"?access_token="+w.person(reader), query(""))
	}, "token"},
	{"garbage", token(func(*world) string { return "abc" }), "token"},
	{"another audience", claimed(map[string]any{"aud": "grafana"}), "token"},
	{"another issuer", claimed(map[string]any{"iss": "https://evil.example.com"}), "token"},
	{"expired", claimed(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), "token"},
	{"never expires", claimed(map[string]any{"exp": nil}), "token"},
	{"not good yet", claimed(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), "token"},
	{"of the future", claimed(map[string]any{"iat": time.Now().Add(time.Hour).Unix()}), "token"},
	{"algorithm none", token(func(w *world) string {
		return parts(map[string]any{"alg": "none"}, w.issuer.claims(map[string]any{"aud": "flameplane", "groups": []string{reader}})) + "."
	}), "token"},
	{"HS256 with the public key", token(func(w *world) string {
		w.issuer.mutex.Lock()
		defer w.issuer.mutex.Unlock()
		der, _ := x509.MarshalPKIXPublicKey(w.issuer.keys[w.issuer.kid].Public())
		key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		return signed(w.t, jose.HS256, key, w.issuer.kid, w.issuer.claims(map[string]any{"aud": "flameplane", "groups": []string{reader}}))
	}), "token"},
	{"another key under a known id", token(func(w *world) string {
		return signed(w.t, jose.RS256, rsaKey(w.t), w.issuer.kid, w.issuer.claims(map[string]any{"aud": "flameplane", "groups": []string{reader}}))
	}), "token"},
	{"claims changed after signing", token(func(w *world) string {
		good := strings.Split(w.person("nobody"), ".")
		good[1] = parts(w.issuer.claims(map[string]any{"aud": "flameplane", "groups": []string{reader}}))
		return strings.Join(good, ".")
	}), "token"},
	{"a key that was rotated out", token(func(w *world) string {
		old := w.person(reader)
		w.issuer.rotate(w.t)
		return old
	}), "token"},
	{"a service account that the API server does not know", token(func(w *world) string {
		return newIssuer(w.t).token(w.t, map[string]any{"aud": "flameplane-gateway"})
	}), "token"},
	{"a service account's token that is bound to no pod", token(func(w *world) string {
		text := newIssuer(w.t).token(w.t, map[string]any{"aud": "flameplane-gateway"})
		w.reviews.know(text, "flameplane-system/flameplane-downsample", "")
		return text
	}), "token"},
	{"a service account that nobody declared", func(w *world) (int, string) {
		return w.post(w.program("payments/checkout"), names, query(""))
	}, "unknown-account"},
	{"the agent reads", func(w *world) (int, string) {
		return w.post(w.program("flameplane-node/flameplane-node"), names, query(""))
	}, "account-does-not-read"},
	{"the cost report reads stacks", func(w *world) (int, string) {
		return w.post(w.program("flameplane-system/flameplane-cost-report"), stacks, stacktracesOf(""))
	}, "totals-only"},

	// past the routes
	{"double slash", path("//tenant/payments/querier.v1.QuerierService/LabelNames"), "path"},
	{"double slash inside", path("/tenant/payments//querier.v1.QuerierService/LabelNames"), "path"},
	{"dots", path("/tenant/catalog/../payments/querier.v1.QuerierService/LabelNames"), "path"},
	{"encoded dots", path("/tenant/payments/%2e%2e/admin"), "path"},
	{"encoded slash", path("/tenant/payments%2Fquerier.v1.QuerierService/LabelNames"), "path"},
	{"encoded letter", path("/tenant/payments/querier.v1.QuerierService/LabelName%73"), "path"},
	{"trailing dot", path("/tenant/payments/querier.v1.QuerierService/LabelNames."), "path"},
	{"trailing slash", path("/tenant/payments/querier.v1.QuerierService/LabelNames/"), "path"},
	{"backslash", path("/tenant/payments\\querier.v1.QuerierService/LabelNames"), "path"},
	{"parameter of a path", path("/tenant/payments/querier.v1.QuerierService/LabelNames;a=b"), "path"},
	{"whole URL", path("http://backend/ops/object-store/tenants"), "path"},
	{"another case", path("/tenant/payments/querier.v1.querierservice/labelnames"), "path"},
	{"operator's pages", asking("platform", "/ops/object-store/tenants", ""), "path"},
	{"the backend's metrics", asking("platform", "/metrics", ""), "path"},
	{"source code", asking("platform", "/tenant/payments/vcs.v1.VCSService/GetFile", "{}"), "path"},
	{"settings are set", asking("platform", "/tenant/payments/settings.v1.SettingsService/Set", "{}"), "path"},
	{"AnalyzeQuery", asking("platform", "/tenant/payments/querier.v1.QuerierService/AnalyzeQuery", "{}"), "path"},
	{"GET in place of POST", asking(reader, names, "", func(r *http.Request) { r.Method = http.MethodGet }), "path"},
	{"a tenant inside a tenant", asking(reader, "/tenant/payments"+names, query("")), "path"},

	// exports in disguise
	{"whole profile", asking(reader, wholeOne, stacktracesOf("")), "no-grant"},
	{"pprof inside of a flame graph's call", asking(reader, stacks, stacktracesOf(`,"format":"PROFILE_FORMAT_PPROF"`)), "no-grant"},
	{"pprof by number", asking(reader, stacks, stacktracesOf(`,"format":4`)), "no-grant"},
	{"tree", asking(reader, stacks, stacktracesOf(`,"format":"PROFILE_FORMAT_TREE"`)), "no-grant"},
	{"dot", asking(reader, stacks, stacktracesOf(`,"format":"PROFILE_FORMAT_DOT"`)), "no-grant"},
	{"a format of the future", asking(reader, stacks, stacktracesOf(`,"format":9`)), "malformed"},
	{"single profiles", asking(reader, stacks, stacktracesOf(`,"profile_id_selector":["7c9e6679-7425-40de-944b-e07fc1f90ae7"]`)), "no-grant"},
	{"asynchronous", asking(reader, stacks, stacktracesOf(`,"async":{"type":"ASYNC_QUERY_TYPE_FORCE"}`)), "malformed"},
	{"pprof in protobuf", func(w *world) (int, string) {
		start, end := window()
		text, _ := proto.Marshal(&querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end, Format: 4})
		return w.post(w.person(reader), stacks, string(text), header("Content-Type", "application/proto"))
	}, "no-grant"},
	{"pprof by the last of two fields", func(w *world) (int, string) {
		start, end := window()
		text, _ := proto.Marshal(&querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end, Format: 1})
		text = protowire.AppendVarint(protowire.AppendTag(text, 6, protowire.VarintType), 4)
		return w.post(w.person(reader), stacks, string(text), header("Content-Type", "application/proto"))
	}, "no-grant"},
	{"pprof in a compressed body", func(w *world) (int, string) {
		return w.post(w.person(reader), stacks, zipped(stacktracesOf(`,"format":4`)), header("Content-Encoding", "gzip"))
	}, "no-grant"},
	{"tree of a span", asking(reader, strings.Replace(stacks, "Stacktraces", "SpanProfile", 1), stacktracesOf(`,"format":2`)), "no-grant"},
	{"single profiles inside a difference", asking(reader, strings.Replace(stacks, "SelectMergeStacktraces", "Diff", 1),
		`{"left":`+stacktracesOf(`,"profile_id_selector":["x"]`)+`,"right":`+stacktracesOf("")+`}`), "malformed"},
	{"a grant that does not exist", asking(reader, wholeOne, stacktracesOf(""), header(grantHeader, "nothing")), "unknown-grant"},

	// what two parsers could read differently
	{"the same key twice", asking(reader, stacks, stacktracesOf(`,"format":1,"format":4`)), "protocol"},
	{"both spellings of a key", asking(reader, stacks, stacktracesOf(`,"labelSelector":"{}"`)), "protocol"},
	{"an unknown key", asking(reader, stacks, stacktracesOf(`,"tenant":"catalog"`)), "protocol"},
	{"an unknown field", func(w *world) (int, string) {
		text := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 4)
		return w.post(w.person(reader), names, string(text), header("Content-Type", "application/proto"))
	}, "malformed"},
	{"JSON called protobuf", asking(reader, stacks, stacktracesOf(`,"format":4`), header("Content-Type", "application/proto")), "protocol"},
	{"a form", asking(reader, stacks, "format=4", header("Content-Type", "application/x-www-form-urlencoded")), "protocol"},
	{"two content types", asking(reader, stacks, stacktracesOf(`,"format":4`), header("Content-Type", "application/proto", "application/json")), "protocol"},
	{"two values", asking(reader, stacks, stacktracesOf("")+stacktracesOf(`,"format":4`)), "protocol"},
	{"a selector that cannot be read", asking(reader, stacks, strings.Replace(stacktracesOf(""), `checkout\"`, `checkout`, 1)), "malformed"},
	{"a selector with a metric's name", asking(reader, stacks, strings.Replace(stacktracesOf(""), `{service`, `up{service`, 1)), "malformed"},

	// more than is good for anybody
	{"a large body", asking(reader, names, `{"matchers":["`+strings.Repeat("a", 2<<20)+`"]}`), "body"},
	{"a body that grows", func(w *world) (int, string) {
		return w.post(w.person(reader), names, zipped(`{"matchers":["`+strings.Repeat("a", 64<<20)+`"]}`), header("Content-Encoding", "gzip"))
	}, "body"},
	{"a year at once", asking(reader, names, fmt.Sprintf(`{"start":"%d","end":"%d"}`, time.Now().AddDate(-1, 0, 0).UnixMilli(), time.Now().UnixMilli())), "malformed"},
	{"no window", asking(reader, names, `{}`), "malformed"},
	{"all nodes", asking(reader, stacks, stacktracesOf(`,"max_nodes":"100000000"`)), "malformed"},
	{"fewer than no nodes", asking(reader, stacks, stacktracesOf(`,"max_nodes":"-1"`)), "malformed"},

	// writes
	{"a person pushes", asking("platform", "/push.v1.PusherService/Push", pushOf("payments")), "does-not-write"},
	{"a reader program pushes", func(w *world) (int, string) {
		return w.post(w.program("flameplane-system/flameplane-cost-report"), "/push.v1.PusherService/Push", pushOf("payments"))
	}, "does-not-write"},
	{"a push for a team that is none", pushing(pushOf("nobody")), "unknown-team"},
	{"a push for two tenants", pushing(pushOf("payments|catalog")), "unknown-team"},
	{"a push for two teams at once", pushing(`{"series":[` + seriesOf("payments") + `,` + seriesOf("catalog") + `]}`), "malformed"},
	{"a push with two teams in one series", pushing(`{"series":[{"labels":[{"name":"team","value":"payments"},{"name":"team","value":"catalog"},{"name":"service_name","value":"x"}]}]}`), "malformed"},
	{"a push without a team", pushing(`{"series":[{"labels":[{"name":"service_name","value":"x"}]}]}`), "malformed"},
	{"a push of nothing", pushing(`{}`), "malformed"},

	// the CI gate
	{"a job reads another service", job("checkout", `search`, cpu, 10), "gate-scope"},
	{"a job reads all services", job("checkout", `", service_name=~"`, cpu, 10), "gate-scope"},
	{"a job reads another type", job("checkout", "checkout", "memory:alloc_space:bytes:space:bytes", 10), "gate-scope"},
	{"a job reads yesterday", job("checkout", "checkout", cpu, 1440), "gate-scope"},
	{"a job of another repository", job("search", "checkout", cpu, 10), "gate-scope"},
	{"a job takes the whole profile of its service", jobAsking("SelectMergeProfile", "", "checkout", "checkout", cpu, 10), "gate-scope"},
	{"a job hides an export in a body", jobAsking("SelectMergeStacktraces", `,"format":4`, "checkout", "checkout", cpu, 10), "gate-scope"},
	{"a job's token for people", func(w *world) (int, string) {
		return w.post(w.ci.token(w.t, map[string]any{"aud": "flameplane", "repository": "acme/checkout"}), names, query(""))
	}, "token"},
}

func pushOf(team string) string { return `{"series":[` + seriesOf(team) + `]}` }

func seriesOf(team string) string { return seriesWith(team, planted) }

func seriesWith(team, function string) string {
	return `{"labels":[{"name":"__name__","value":"process_cpu"},{"name":"team","value":"` + team +
		`"},{"name":"service_name","value":"checkout"}],"samples":[{"rawProfile":"` + profileOf(function) + `"}]}`
}

func pushing(body string) func(w *world) (int, string) {
	return func(w *world) (int, string) {
		return w.post(w.program("flameplane-node/flameplane-node"), "/push.v1.PusherService/Push", body)
	}
}

func job(repository, service, kind string, minutes int) func(w *world) (int, string) {
	return jobAsking("SelectMergeStacktraces", "", repository, service, kind, minutes)
}

func jobAsking(call, more, repository, service, kind string, minutes int) func(w *world) (int, string) {
	return func(w *world) (int, string) {
		token := w.ci.token(w.t, map[string]any{"aud": "flameplane-gate", "repository": "acme/" + repository})
		selector, _ := json.Marshal(`{service_name="` + service + `"}`)
		body := fmt.Sprintf(`{"start":"%d","end":"%d","profile_typeID":%q,"label_selector":%s%s}`,
			time.Now().Add(-time.Duration(minutes)*time.Minute).UnixMilli(), time.Now().UnixMilli(), kind, selector, more)
		return w.post(token, "/querier.v1.QuerierService/"+call, body)
	}
}

func zipped(text string) string {
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	_, _ = io.WriteString(writer, text)
	_ = writer.Close()
	return buffer.String()
}

func TestAttacksGiveNothingAway(t *testing.T) {
	for _, one := range attacks {
		t.Run(one.name, func(t *testing.T) {
			w := newWorld(t)
			status, body := one.send(w)
			if status < 400 || strings.Contains(body, "secret") || strings.Contains(body, "of-payments") {
				t.Fatalf("answered %d %s", status, body)
			}
			if calls := w.backend.all(); len(calls) > 0 {
				t.Fatalf("the backend was asked: %v", calls)
			}
			w.hasRefused(one, status, body)
		})
	}
}

// hasRefused is that the attack has its line, and that it says by which rule it failed.
func (w *world) hasRefused(one attack, status int, body string) {
	w.t.Helper()
	records := w.journal.all()
	if len(records) != 1 {
		w.t.Fatalf("%d records", len(records))
	}
	if got := records[0]; got.Allowed || got.Rule != one.rule || got.Status != status {
		w.t.Fatalf("on record: allowed %v, rule %q (%s), status %d; answered %d %s", got.Allowed, got.Rule, got.Reason, got.Status, status, body)
	}
}

func TestThereAreEnoughAttacks(t *testing.T) {
	seen := map[string]bool{}
	for _, one := range attacks {
		if seen[one.name] {
			t.Errorf("%s stands twice", one.name)
		}
		seen[one.name] = true
	}
	if len(seen) < 40 {
		t.Fatalf("%d attacks", len(seen))
	}
}
