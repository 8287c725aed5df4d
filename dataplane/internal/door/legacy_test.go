package door

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/profiles/v1development"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"
)

const agent = "flameplane-node/flameplane-node"

// send is a request whose path may have a query.
func (w *world) send(method, token, path, kind string, body []byte, options ...func(*http.Request)) (int, string) {
	w.t.Helper()
	request, err := http.NewRequest(method, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {kind}, tenantHeader: {"catalog"}, "Cookie": {"a=b"}}
	for _, option := range options {
		option(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.Header.Get("X-Of-The-Backend") != "" {
		w.t.Error("a header of the backend reached the client")
	}
	return response.StatusCode, string(text)
}

func renderQuery(values ...string) string {
	found := url.Values{"query": {cpu + `{service_name="checkout"}`}, "from": {"now-1h"}, "until": {"now"}}
	for i := 0; i < len(values); i += 2 {
		found.Set(values[i], values[i+1])
	}
	return "/tenant/payments/pyroscope/render?" + found.Encode()
}

func TestRenderIsAView(t *testing.T) {
	w := newWorld(t)
	status, body := w.send(http.MethodGet, w.person(reader), renderQuery(), "", nil)
	w.wants(200, "payments", "reader-of-team", status, body)
	if body != "secret json of payments" {
		t.Fatal(body)
	}
	record, sent := w.last(), w.backend.all()[0]
	if record.Type != cpu || len(record.Services) != 1 || record.End.Sub(record.Start) != time.Hour || len(sent.header.Values("Cookie")) > 0 {
		t.Fatalf("%+v %v", record, sent.header)
	}
	if got := sent.query.Get("from"); got != fmt.Sprint(record.Start.Unix()) || sent.query.Get("query") != `{__name__="`+cpu+`",service_name="checkout"}` {
		t.Fatalf("what was understood was not what was sent: %v", sent.query)
	}
	left := strings.NewReplacer("query", "leftQuery", "from", "leftFrom", "until", "leftUntil").Replace(strings.SplitN(renderQuery(), "?", 2)[1])
	status, body = w.send(http.MethodGet, w.person(reader), "/tenant/payments/pyroscope/render-diff?"+left+"&"+strings.ReplaceAll(left, "left", "right"), "", nil)
	w.wants(200, "payments", "reader-of-team", status, body)
}

func TestRenderHidesNoExport(t *testing.T) {
	for name, one := range map[string]struct{ path, rule string }{
		"dot":                     {renderQuery("format", "dot"), "no-grant"},
		"pprof":                   {renderQuery("format", "pprof"), "malformed"},
		"two formats":             {renderQuery("format", "json") + "&format=dot", "malformed"},
		"a parameter more":        {renderQuery("tenant", "catalog"), "malformed"},
		"a semicolon":             {renderQuery() + ";format=dot", "malformed"},
		"any profile type":        {renderQuery("query", `{service_name="checkout"}`), "malformed"},
		"many profile types":      {renderQuery("query", `{__name__=~".+"}`), "malformed"},
		"no query":                {renderQuery("query", ""), "malformed"},
		"a year":                  {renderQuery("from", "now-365d"), "malformed"},
		"another spelling of now": {renderQuery("from", "yesterday"), "malformed"},
		"all nodes":               {renderQuery("maxNodes", "99999999"), "malformed"},
		"no nodes":                {renderQuery("max-nodes", "-1"), "malformed"},
		"another team":            {strings.Replace(renderQuery(), "payments", "catalog", 1), "other-tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			status, body := w.send(http.MethodGet, w.person(reader), one.path, "", nil)
			if status < 400 || strings.Contains(body, "secret") || len(w.backend.all()) > 0 || w.last().Rule != one.rule {
				t.Fatalf("%d %s %+v", status, body, w.last())
			}
		})
	}
}

func ingestPath(name string) string {
	return "/ingest?" + url.Values{"name": {name}, "from": {"1"}, "until": {"2"}, "spyName": {"javaspy"}}.Encode()
}

func formOf(fields ...string) (string, []byte) {
	var buffer bytes.Buffer
	writer := multipart.NewWriter(&buffer)
	for _, field := range fields {
		part, _ := writer.CreateFormFile(field, "x")
		_, _ = io.WriteString(part, "content of "+field)
	}
	_ = writer.Close()
	return writer.FormDataContentType(), buffer.Bytes()
}

// contents are the fields of a form that reached the backend, which has to be whole: with its end, and what was in each.
func contents(t *testing.T, sent reached) []string {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(sent.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for reader := multipart.NewReader(bytes.NewReader(sent.body), parameters["boundary"]); ; {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("the form is not whole: %v", err)
		}
		if text, err := io.ReadAll(part); err != nil || string(text) != "content of "+part.FormName() {
			t.Fatalf("%s has %q: %v", part.FormName(), text, err)
		}
		found = append(found, part.FormName())
	}
}

func TestAgentsPushByIngest(t *testing.T) {
	for path, fields := range map[string][]string{
		ingestPath("checkout{team=payments,pod=a}"):                     {"profile", "sample_type_config"},
		ingestPath("checkout{team=payments}") + "&format=jfr":           {"jfr", "labels"},
		"/pyroscope" + ingestPath("checkout.cpu{team=payments,zone=b}"): {"profile"},
	} {
		w := newWorld(t)
		kind, body := formOf(fields...)
		status, text := w.send(http.MethodPost, w.program(agent), path, kind, body)
		w.wants(200, "payments", "program-writes-team", status, text)
		sent := w.backend.all()[0]
		if got := contents(t, sent); !slices.Equal(got, fields) {
			t.Errorf("%s: the form has %v, not %v", path, got, fields)
		}
		if w.last().Services[0] == "" || !strings.Contains(sent.query.Get("name"), "team=payments") {
			t.Errorf("%+v %v", w.last(), sent.query)
		}
	}
	w := newWorld(t)
	status, text := w.send(http.MethodPost, w.program(agent), ingestPath("checkout{team=payments}")+"&format=pprof", "application/octet-stream", []byte("raw"))
	w.wants(200, "payments", "program-writes-team", status, text)
}

func TestIngestTakesNothingElse(t *testing.T) {
	kind, good := formOf("profile")
	_, strange := formOf("profile", "../../etc")
	_, twice := formOf("profile", "profile")
	_, nothing := formOf()
	for name, one := range map[string]struct {
		path, kind string
		body       []byte
		rule       string
	}{
		"no team":               {ingestPath("checkout{pod=a}"), kind, good, "malformed"},
		"an undeclared team":    {ingestPath("checkout{team=nobody}"), kind, good, "unknown-team"},
		"two teams":             {ingestPath("checkout{team=payments|catalog}"), kind, good, "unknown-team"},
		"the last of two teams": {ingestPath("checkout{team=payments,team=nobody}"), kind, good, "unknown-team"},
		"no name":               {"/ingest", kind, good, "malformed"},
		"two names":             {ingestPath("a{team=payments}") + "&name=b{team=catalog}", kind, good, "malformed"},
		"a parameter more":      {ingestPath("a{team=payments}") + "&tenant=b", kind, good, "malformed"},
		"another format":        {ingestPath("a{team=payments}") + "&format=speedscope", "text/plain", good, "malformed"},
		"no number":             {ingestPath("a{team=payments}") + "&sampleRate=1e9", kind, good, "malformed"},
		"a strange field":       {ingestPath("a{team=payments}"), "multipart/form-data; boundary=x", strange, "malformed"},
		"a field twice":         {ingestPath("a{team=payments}"), kind, twice, "malformed"},
		"an empty form":         {ingestPath("a{team=payments}"), kind, nothing, "malformed"},
		"a large body":          {ingestPath("a{team=payments}") + "&format=pprof", "x/y", make([]byte, 2<<20), "body"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			status, body := w.send(http.MethodPost, w.program(agent), one.path, one.kind, one.body)
			if status < 400 || len(w.backend.all()) > 0 || w.last().Rule != one.rule {
				t.Fatalf("%d %s: rule %s (%s)", status, body, w.last().Rule, w.last().Reason)
			}
		})
	}
}

func otlpOf(teams ...string) *profiles.ExportProfilesServiceRequest {
	found := &profiles.ExportProfilesServiceRequest{}
	attribute := func(key, value string) *common.KeyValue {
		return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
	}
	for _, team := range teams {
		found.ResourceProfiles = append(found.ResourceProfiles, &otlp.ResourceProfiles{Resource: &resource.Resource{
			Attributes: []*common.KeyValue{attribute("service.name", "checkout"), attribute("team", team)},
		}})
	}
	return found
}

func TestOtlpIsTakenByHTTPAndGRPC(t *testing.T) {
	w := newWorld(t)
	body, _ := proto.Marshal(otlpOf("payments"))
	token := w.program(agent)
	status, text := w.send(http.MethodPost, token, otlpPath, "application/x-protobuf", body)
	w.wants(200, "payments", "program-writes-team", status, text)
	status, text = w.post(token, otlpPath, zipped(string(body)), header("Content-Type", "application/x-protobuf"), header("Content-Encoding", "gzip"))
	w.wants(200, "payments", "program-writes-team", status, text)
	if sent := w.backend.all()[1]; !bytes.Equal(sent.body, body) || sent.header.Get("Content-Encoding") != "" {
		t.Fatal("it was not sent anew")
	}
	h2c := &http.Client{Transport: &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	call := connect.NewRequest(otlpOf("payments", "payments"))
	call.Header().Set("Authorization", "Bearer "+token)
	if _, err := otlpClient(h2c, w.url)(context.Background(), call); err != nil {
		t.Fatal(err)
	}
	w.wants(200, "payments", "program-writes-team", 200, "")
	for name, message := range map[string]*profiles.ExportProfilesServiceRequest{
		"nothing": otlpOf(), "no such team": otlpOf("nobody"), "two teams": otlpOf("payments", "catalog"), "no team": otlpOf(""),
	} {
		body, _ := proto.Marshal(message)
		before := len(w.backend.all())
		if status, _ := w.send(http.MethodPost, token, otlpPath, "application/x-protobuf", body); status < 400 || len(w.backend.all()) != before {
			t.Errorf("%s: %d", name, status)
		}
	}
	bomb := zipped(strings.Repeat("\x00", 64<<20))
	if status, _ := w.post(token, otlpPath, bomb, header("Content-Type", "application/x-protobuf"), header("Content-Encoding", "gzip")); status != 413 {
		t.Errorf("a body that grows: %d", status)
	}
}
