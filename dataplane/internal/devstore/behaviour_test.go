package devstore

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// total of a selection by its flame graph, which reads the bodies, and by its series, which reads the index.
func (w *world) total(tenant, selector string, change ...func(*querierv1.SelectMergeStacktracesRequest)) int64 {
	w.t.Helper()
	start, end := w.window()
	request := &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}
	for _, each := range change {
		each(request)
	}
	graph, err := w.reads(tenant).SelectMergeStacktraces(context.Background(), connect.NewRequest(request))
	found := answer(w.t, graph, err).Flamegraph.Total
	if len(change) > 0 {
		return found
	}
	series, err := w.reads(tenant).SelectSeries(context.Background(), connect.NewRequest(&querierv1.SelectSeriesRequest{
		ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end, Step: 15}))
	sum := 0.0
	for _, one := range answer(w.t, series, err).Series {
		for _, point := range one.Points {
			sum += point.Value
		}
	}
	if int64(sum) != found {
		w.t.Fatalf("%s: the index says %v, the bodies %d", selector, sum, found)
	}
	return found
}

func TestTenantsAreApart(t *testing.T) {
	w := newWorld(t)
	w.push("a", labelled("process_cpu", "checkout"), cpuProfile(w.now(), sample{[]string{"main"}, 10, nil}))
	w.push("ab", labelled("process_cpu", "checkout"), cpuProfile(w.now(), sample{[]string{"main"}, 5, nil}))
	same(t, w.total("a", "{}"), 10)
	same(t, w.total("ab", "{}"), 5)
	same(t, w.total("b", "{}"), 0)
	start, end := w.window()
	for tenant, code := range map[string]connect.Code{
		"": connect.CodeUnauthenticated, "a|ab": connect.CodeInvalidArgument, "../a": connect.CodeUnauthenticated,
		strings.Repeat("a", 151): connect.CodeUnauthenticated,
	} {
		_, err := w.reads(tenant).LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end}))
		wants(t, err, code)
		wants(t, push(t.Context(), w.writes(tenant), labelled("process_cpu", "x"), packed(t, cpuProfile(w.now(), sample{[]string{"main"}, 1, nil}))),
			connect.CodeUnauthenticated)
	}
	response, err := client("").Post(w.url+"/ingest?name=x&format=pprof", "", strings.NewReader(""))
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("/ingest without a tenant: %v %v", response, err)
	}
}

func TestSelectors(t *testing.T) {
	w := newWorld(t)
	for pod, value := range map[string]int64{"checkout-a": 1, "checkout-b": 10, "cart-a": 100} {
		service, _, _ := strings.Cut(pod, "-")
		w.push("a", labelled("process_cpu", service, "pod", pod), cpuProfile(w.now(), sample{[]string{"main"}, value, nil}))
	}
	for selector, wanted := range map[string]int64{
		`{}`: 111, `{service_name="checkout"}`: 11, `{service_name!="checkout"}`: 100, `{pod=~".*-a"}`: 101, `{pod!~".*-a"}`: 10,
		`{service_name=~"c.*",pod="checkout-b"}`: 10, `{none=""}`: 111, `{none!=""}`: 0, `{pod=~"checkout"}`: 0, `process_cpu{pod="cart-a"}`: 100,
	} {
		same(t, w.total("a", selector), wanted)
	}
	start, end := w.window()
	for _, selector := range []string{"", "{", "pod=a", `{pod=~"("}`, `{pod=checkout-a}`} {
		_, err := w.reads("a").SelectMergeStacktraces(t.Context(), connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
			ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}))
		wants(t, err, connect.CodeInvalidArgument)
	}
	_, err := w.reads("a").SelectMergeProfile(t.Context(), connect.NewRequest(&querierv1.SelectMergeProfileRequest{
		ProfileTypeID: "cpu", LabelSelector: "{}", Start: start, End: end}))
	wants(t, err, connect.CodeInvalidArgument)
}

func TestSpansAndTraces(t *testing.T) {
	w := newWorld(t)
	span, other, trace := "0a0b0c0d0e0f1011", "3333333333333333", "000102030405060708090a0b0c0d0e0f"
	w.push("a", labelled("process_cpu", "pay"), cpuProfile(w.now(),
		sample{[]string{"main", "pay"}, 1, map[string]string{"span_id": span, "trace_id": trace, "handler": "pay"}},
		sample{[]string{"main", "pay"}, 10, map[string]string{"profile_id": span, "handler": "pay"}}, // as older agents name it
		sample{[]string{"main", "pay"}, 100, map[string]string{"span_id": other}},
		sample{[]string{"main"}, 1000, map[string]string{"span_id": "not hexadecimal!"}}))
	for _, one := range []struct {
		spans, traces []string
		wanted        int64
	}{
		{nil, nil, 1111}, {[]string{span}, nil, 11}, {[]string{strings.ToUpper(span)}, nil, 11}, {[]string{span, other}, nil, 111},
		{nil, []string{trace}, 1}, {[]string{"ffffffffffffffff"}, nil, 0},
	} {
		same(t, w.total("a", "{}", func(r *querierv1.SelectMergeStacktracesRequest) {
			r.SpanSelector, r.TraceIdSelector = one.spans, one.traces
		}), one.wanted)
	}
	same(t, w.total("a", `{handler="pay"}`), 11) // any other label of a sample is one of its series
	start, end := w.window()
	names, err := w.reads("a").LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end}))
	if found := answer(t, names, err).Names; slices.Contains(found, "span_id") || slices.Contains(found, "profile_id") || !slices.Contains(found, "handler") {
		t.Fatalf("label names: %v", found)
	}
	_, err = w.reads("a").SelectMergeStacktraces(t.Context(), connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end, SpanSelector: []string{span}, TraceIdSelector: []string{trace}}))
	wants(t, err, connect.CodeInvalidArgument)
}

func TestWindows(t *testing.T) {
	w := newWorld(t)
	w.push("a", labelled("process_cpu", "x"), cpuProfile(w.now().Add(-10*time.Minute), sample{[]string{"main"}, 1, nil}))
	now := w.now()
	for _, one := range []struct {
		from, to time.Duration
		code     connect.Code // 0: it is answered
	}{
		{-time.Hour, 0, 0}, {0, -time.Hour, connect.CodeInvalidArgument}, {-25 * time.Hour, 0, connect.CodeInvalidArgument},
		{-30 * 24 * time.Hour, -29 * 24 * time.Hour, 0}, // further back than one may look: nothing
	} {
		_, err := w.reads("a").LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{
			Start: now.Add(one.from).UnixMilli(), End: now.Add(one.to).UnixMilli()}))
		if one.code == 0 && err != nil || one.code != 0 && connect.CodeOf(err) != one.code {
			t.Fatalf("%v: %v", one, err)
		}
	}
	_, err := w.reads("a").LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{}))
	wants(t, err, connect.CodeInvalidArgument)
	types, err := w.reads("a").ProfileTypes(t.Context(), connect.NewRequest(&querierv1.ProfileTypesRequest{})) // the last hour
	same(t, len(answer(t, types, err).ProfileTypes), 2)
}

// TestPruning holds the limits of nodes: what is left out is there as “other“, so that the total stays.
func TestPruning(t *testing.T) {
	w := newWorld(t)
	var samples []sample
	for i := range 40 {
		samples = append(samples, sample{[]string{"main", "group" + string(rune('a'+i%4)), "work" + string(rune('A'+i))}, int64(10 * (i + 1)), nil})
	}
	w.push("a", labelled("process_cpu", "wide"), cpuProfile(w.now(), samples...))
	start, end := w.window()
	ask := func(most int64) (*querierv1.FlameGraph, error) {
		request := &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end, MaxNodes: &most}
		graph, err := w.reads("a").SelectMergeStacktraces(t.Context(), connect.NewRequest(request))
		if err != nil {
			return nil, err
		}
		return graph.Msg.Flamegraph, nil
	}
	whole, err := ask(1000)
	if err != nil || whole.Total != 8200 || len(whole.Names) != 46 {
		t.Fatalf("whole: %v %v", whole, err)
	}
	some, err := ask(10)
	if err != nil || some.Total != 8200 || !slices.Contains(some.Names, other) || len(some.Names) > 12 {
		t.Fatalf("some: %v %v", some, err)
	}
	for _, most := range []int64{-1, 2 << 20} {
		_, err := ask(most)
		wants(t, err, connect.CodeInvalidArgument)
	}
	few := int64(10)
	merged, err := w.reads("a").SelectMergeProfile(t.Context(), connect.NewRequest(&querierv1.SelectMergeProfileRequest{
		ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end, MaxNodes: &few}))
	var sum int64
	for _, one := range answer(t, merged, err).Sample {
		sum += one.Value[0]
	}
	same(t, sum, 8200)
}

func TestDifference(t *testing.T) {
	w := newWorld(t)
	w.push("a", labelled("process_cpu", "x", "version", "1"), cpuProfile(w.now(), sample{[]string{"main", "old"}, 10, nil}, sample{[]string{"main", "both"}, 20, nil}))
	w.push("a", labelled("process_cpu", "x", "version", "2"), cpuProfile(w.now(), sample{[]string{"main", "new"}, 5, nil}, sample{[]string{"main", "both"}, 30, nil}))
	start, end := w.window()
	side := func(version string) *querierv1.SelectMergeStacktracesRequest {
		return &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: `{version="` + version + `"}`, Start: start, End: end}
	}
	diff, err := w.reads("a").Diff(t.Context(), connect.NewRequest(&querierv1.DiffRequest{Left: side("1"), Right: side("2")}))
	found := answer(t, diff, err).Flamegraph
	same(t, found.Names, []string{"total", "main", "old", "new", "both"})
	same(t, levels(found.Levels), [][]int64{
		{0, 30, 0, 0, 35, 0, 0}, {0, 30, 0, 0, 35, 0, 1},
		{0, 20, 20, 0, 30, 30, 4, 0, 0, 0, 0, 5, 5, 3, 0, 10, 10, 0, 0, 0, 2},
	})
}
