package devstore

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	jfr "github.com/grafana/jfr-parser/pprof"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	collector "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/profiles/v1development"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// post sends a body to a path and says with which status it was answered.
func (w *world) post(tenant, path string, query url.Values, kind string, body []byte, headers ...string) (int, string) {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.url+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client(tenant).Do(request)
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

func formOf(t testing.TB, fields map[string][]byte) (string, []byte) {
	t.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for name, text := range fields {
		part, err := writer.CreateFormFile(name, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return writer.FormDataContentType(), body.Bytes()
}

// types that a tenant has, with the names of their services.
func (w *world) types(tenant string) map[string]string {
	w.t.Helper()
	start, end := w.window()
	found := map[string]string{}
	series, err := w.reads(tenant).Series(w.t.Context(), connect.NewRequest(&querierv1.SeriesRequest{
		Start: start, End: end, LabelNames: []string{profileTypeLabel, serviceLabel}}))
	for _, set := range answer(w.t, series, err).LabelsSet {
		found[set.Labels[0].Value] = set.Labels[1].Value
	}
	return found
}

func TestIngest(t *testing.T) {
	w := newWorld(t)
	ask := func(more ...string) url.Values {
		query := url.Values{"from": {strconv.FormatInt(w.now().Add(-time.Minute).Unix(), 10)}, "until": {strconv.FormatInt(w.now().Unix(), 10)}}
		for i := 0; i < len(more); i += 2 {
			query.Set(more[i], more[i+1])
		}
		return query
	}
	one := cpuProfile(w.now(), sample{[]string{"main"}, 5, nil})
	if status, text := w.post("a", "/ingest", ask("name", "raw{region=eu}", "format", "pprof"), "application/octet-stream", packed(t, one)); status != http.StatusOK {
		t.Fatal(status, text)
	}
	one.SampleType[0].Type, one.SampleType[1].Type = "sample", "time" // named by its configuration alone
	one.TimeNanos = 0
	kind, body := formOf(t, map[string][]byte{"profile": packed(t, one), "sample_type_config": []byte(`{"sample":{"display-name":"cpu_samples"}}`)})
	if status, text := w.post("b", "/pyroscope/ingest", ask("name", "form{}", "spyName", "pyspy"), kind, body); status != http.StatusOK {
		t.Fatal(status, text)
	}
	same(t, w.types("a"), map[string]string{cpu: "raw", "process_cpu:samples:count:cpu:nanoseconds": "raw"})
	same(t, w.types("b"), map[string]string{"process_cpu:time:nanoseconds:cpu:nanoseconds": "form", "process_cpu:sample:count:cpu:nanoseconds": "form"})
	same(t, w.total("a", `{region="eu",pyroscope_spy="unknown"}`), 5)
	graph := w.graph("b", "process_cpu:time:nanoseconds:cpu:nanoseconds")
	same(t, graph.Names, []string{"total", "main.go main"}) // of Python, the file is part of the name

	kind, body = formOf(t, map[string][]byte{"profile": []byte("no pprof")})
	for what, one := range map[string]struct {
		query  url.Values
		kind   string
		body   []byte
		status int
	}{
		"no name":            {ask("name", "{}", "format", "pprof"), "", packed(t, one), http.StatusBadRequest},
		"no pprof":           {ask("name", "x", "format", "pprof"), "", []byte("no pprof"), http.StatusUnprocessableEntity},
		"no form":            {ask("name", "x"), "multipart/form-data; boundary=x", []byte("no form"), http.StatusUnprocessableEntity},
		"no pprof in a form": {ask("name", "x"), kind, body, http.StatusUnprocessableEntity},
		"no recording":       {ask("name", "x", "format", "jfr"), "", []byte("no recording"), http.StatusUnprocessableEntity},
		"other format":       {ask("name", "x", "format", "lines"), "", []byte("a;b 1"), http.StatusUnprocessableEntity},
	} {
		if status, text := w.post("a", "/ingest", one.query, one.kind, one.body); status != one.status || !strings.Contains(text, `"message"`) {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
}

func (w *world) graph(tenant, kind string) *querierv1.FlameGraph {
	w.t.Helper()
	start, end := w.window()
	found, err := w.reads(tenant).SelectMergeStacktraces(w.t.Context(), connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: kind, LabelSelector: "{}", Start: start, End: end}))
	return answer(w.t, found, err).Flamegraph
}

// recordings of the JVM are those that Pyroscope's parser is tested with. They come with the module (Apache 2.0).
func recording(t testing.TB, name string) []byte {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/grafana/jfr-parser").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "parser", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unzipped(t testing.TB, text []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// TestRecordingOfTheJVM pushes as the agent for Java does, and finds what the parser's own tests say is in it.
func TestRecordingOfTheJVM(t *testing.T) {
	w := newWorld(t)
	text, labels := recording(t, "new_spancontext.jfr.gz"), recording(t, "new_spancontext.labels.gz")
	query := url.Values{"name": {"java{version=17}"}, "format": {"jfr"}, "spyName": {"javaspy"}, "sampleRate": {"100"},
		"from": {strconv.FormatInt(w.now().Add(-time.Minute).Unix(), 10)}, "until": {strconv.FormatInt(w.now().Unix(), 10)}}
	kind, body := formOf(t, map[string][]byte{"jfr": text, "labels": labels})
	if status, text := w.post("a", "/ingest", query, kind, body); status != http.StatusOK {
		t.Fatal(status, text)
	}
	query.Set("name", "alone{}")
	if status, text := w.post("a", "/ingest", query, "application/octet-stream", unzipped(t, text)); status != http.StatusOK {
		t.Fatal(status, text)
	}
	var wanted int64
	collapsed := unzipped(t, recording(t, "new_spancontext_0_process_cpu_cpu__nanoseconds_expected_collapsed.txt.gz"))
	for _, found := range regexp.MustCompile(`\[(\d+)\]\n`).FindAllSubmatch(append(collapsed, '\n'), -1) {
		value, _ := strconv.ParseInt(string(found[1]), 10, 64) // of digits
		wanted += value
	}
	if wanted == 0 {
		t.Fatal("the parser's tests say nothing")
	}
	same(t, w.total("a", `{service_name="java",version="17",pyroscope_spy="javaspy"}`), wanted)
	same(t, w.total("a", `{service_name="alone"}`), wanted)

	span, sum := someSpan(t, unzipped(t, text), unzipped(t, labels))
	same(t, w.total("a", `{service_name="java"}`, func(r *querierv1.SelectMergeStacktracesRequest) { r.SpanSelector = []string{span} }), sum)
}

// someSpan of a recording, and the CPU time in it.
func someSpan(t testing.TB, text, labels []byte) (span string, sum int64) {
	t.Helper()
	snapshot := new(jfr.LabelsSnapshot)
	if err := snapshot.UnmarshalVT(labels); err != nil {
		t.Fatal(err)
	}
	found, err := jfr.ParseJFR(text, &jfr.ParseInput{SampleRate: 100}, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	whole := found.Profiles[0].Profile
	for _, sample := range whole.Sample {
		for _, label := range sample.Label {
			if whole.StringTable[label.Key] == oldSpanLabel && (span == "" || whole.StringTable[label.Str] == span) {
				span = whole.StringTable[label.Str]
				sum += sample.Value[0]
			}
		}
	}
	if span == "" {
		t.Fatal("the recording has no spans")
	}
	return span, sum
}

// exported is what the eBPF profiler of OpenTelemetry sends: samples at a rate, of several processes in one profile.
func exported(at time.Time) *collector.ExportProfilesServiceRequest {
	words := []string{"", "samples", "count", "cpu", "nanoseconds", "main", "work", "/app", "service.name", "cart", "thread", "w-1", "main.go"}
	value := func(text string) *common.AnyValue {
		return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: text}}
	}
	return &collector.ExportProfilesServiceRequest{
		Dictionary: &otlp.ProfilesDictionary{
			StringTable:    words,
			MappingTable:   []*otlp.Mapping{{}, {FilenameStrindex: 7}},
			FunctionTable:  []*otlp.Function{{}, {NameStrindex: 5, FilenameStrindex: 12}, {NameStrindex: 6, FilenameStrindex: 12}},
			LocationTable:  []*otlp.Location{{}, {MappingIndex: 1, Lines: []*otlp.Line{{FunctionIndex: 1, Line: 3}}}, {MappingIndex: 1, Lines: []*otlp.Line{{FunctionIndex: 2, Line: 7}}}},
			StackTable:     []*otlp.Stack{{}, {LocationIndices: []int32{2, 1}}, {LocationIndices: []int32{1}}},
			LinkTable:      []*otlp.Link{{}, {TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8)}},
			AttributeTable: []*otlp.KeyValueAndUnit{{}, {KeyStrindex: 8, Value: value(words[9])}, {KeyStrindex: 10, Value: value(words[11])}},
		},
		ResourceProfiles: []*otlp.ResourceProfiles{{
			Resource: &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: value("shop")}, {Key: "team", Value: value("payments")}}},
			ScopeProfiles: []*otlp.ScopeProfiles{{Profiles: []*otlp.Profile{{
				TimeUnixNano: uint64(at.UnixNano()), Period: 1000, SampleType: &otlp.ValueType{TypeStrindex: 1, UnitStrindex: 2},
				PeriodType: &otlp.ValueType{TypeStrindex: 3, UnitStrindex: 4},
				Samples: []*otlp.Sample{
					{StackIndex: 1, Values: []int64{2}, LinkIndex: 1, AttributeIndices: []int32{2}},
					{StackIndex: 2, TimestampsUnixNano: []uint64{1, 2, 3}},
					{StackIndex: 2, Values: []int64{5}, AttributeIndices: []int32{1}}, // of a service of its own
				},
			}}}},
		}},
	}
}

func TestOTLPIsBoundedWhileItIsRead(t *testing.T) {
	limits := DefaultLimits()
	dictionary := func(depth int) *otlp.ProfilesDictionary {
		return &otlp.ProfilesDictionary{
			StringTable: []string{"", "cpu", "nanoseconds"}, MappingTable: []*otlp.Mapping{{}},
			LocationTable: []*otlp.Location{{}}, StackTable: []*otlp.Stack{{LocationIndices: make([]int32, depth)}},
		}
	}
	one := func(samples int) *otlp.Profile {
		made := &otlp.Profile{SampleType: &otlp.ValueType{TypeStrindex: 1, UnitStrindex: 2}}
		for range samples {
			made.Samples = append(made.Samples, &otlp.Sample{Values: []int64{1}})
		}
		return made
	}
	left := mostOTLP
	found, err := fromOTLP(one(2000), dictionary(20_000), &limits, &left)
	if err != nil {
		t.Fatal(err)
	}
	samples := found[""].profile.Sample
	same(t, len(samples[0].Location), limits.MaxProfileDepth)
	if &samples[0].Location[0] != &samples[1999].Location[0] {
		t.Error("each sample has a copy of its stack")
	}
	if _, err := fromOTLP(one(limits.MaxProfileSamples+1), dictionary(1), &limits, &left); err == nil || !strings.Contains(err.Error(), "more than 16000 samples") {
		t.Errorf("got %v", err)
	}
	var many []*otlp.Profile // each small, with the same deep stack
	for range 2000 {
		many = append(many, one(1))
	}
	w := newWorld(t)
	_, err = w.store.converted(&collector.ExportProfilesServiceRequest{
		Dictionary:       dictionary(20_000),
		ResourceProfiles: []*otlp.ResourceProfiles{{ScopeProfiles: []*otlp.ScopeProfiles{{Profiles: many}}}},
	}, &limits)
	if err == nil || !strings.Contains(err.Error(), "frames of stacks") {
		t.Errorf("got %v", err)
	}
}

func TestOTLP(t *testing.T) {
	w := newWorld(t)
	message := exported(w.now())
	raw, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := zip.Write(raw); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	for tenant, body := range map[string][]byte{"json": text, "proto": raw, "zipped": zipped.Bytes()} {
		kind, headers := "application/x-protobuf", []string(nil)
		if tenant == "json" {
			kind = "application/json"
		}
		if tenant == "zipped" {
			headers = []string{"Content-Encoding", "gzip"}
		}
		if status, text := w.post(tenant, otlpPath, nil, kind, body, headers...); status != http.StatusOK {
			t.Fatal(tenant, status, text)
		}
	}
	exporting := connect.NewClient[collector.ExportProfilesServiceRequest, collector.ExportProfilesServiceResponse](
		client("grpc"), w.url+otlpProcedure, connect.WithGRPC())
	if _, err := exporting.CallUnary(t.Context(), connect.NewRequest(message)); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"json", "proto", "zipped", "grpc"} {
		same(t, w.total(tenant, `{service_name="shop",team="payments"}`), 5000) // samples times the period
		same(t, w.total(tenant, `{service_name="cart"}`), 5000)
		same(t, w.total(tenant, `{thread="w-1"}`), 2000)
		same(t, w.total(tenant, `{}`, func(r *querierv1.SelectMergeStacktracesRequest) { r.SpanSelector = []string{"0202020202020202"} }), 2000)
		same(t, w.total(tenant, `{}`, func(r *querierv1.SelectMergeStacktracesRequest) {
			r.TraceIdSelector = []string{strings.Repeat("01", 16)}
		}), 2000)
		same(t, w.graph(tenant, cpu).Names, []string{"total", "main", "work"})
	}
	start, end := w.window()
	names, err := w.reads("grpc").LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end}))
	if found := fmt.Sprint(answer(t, names, err).Names); strings.Contains(found, "service.name") {
		t.Fatalf("old clients cannot ask for a name with a dot: %s", found)
	}

	message.ResourceProfiles[0].ScopeProfiles[0].Profiles[0].Samples[0].StackIndex = 99
	_, err = exporting.CallUnary(t.Context(), connect.NewRequest(message))
	wants(t, err, connect.CodeInvalidArgument)
	for what, one := range map[string]struct {
		kind   string
		body   []byte
		status int
	}{
		"nothing":  {"application/x-protobuf", nil, http.StatusInternalServerError}, // as Pyroscope
		"no proto": {"application/x-protobuf", []byte("no protobuf"), http.StatusBadRequest},
		"no json":  {"application/json", []byte("{"), http.StatusBadRequest},
		"other":    {"text/plain", raw, http.StatusUnsupportedMediaType},
	} {
		if status, text := w.post("a", otlpPath, nil, one.kind, one.body); status != one.status {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
}
