package devstore

import (
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"google.golang.org/protobuf/proto"
)

// TestEveryProcedure pushes by each protocol and reads back by it, so that no codec hides what another stored.
func TestEveryProcedure(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(t), t.Context()
			at := w.now().Add(-time.Minute)
			one := cpuProfile(at,
				sample{[]string{"main", "handle", "parse"}, 30, nil},
				sample{[]string{"main", "handle"}, 20, nil},
				sample{[]string{"main", "idle"}, 10, nil})
			if err := push(ctx, w.writes("a", options...), labelled("process_cpu", "checkout", "region", "eu"), packed(t, one)); err != nil {
				t.Fatal(err)
			}
			reads, selector := w.reads("a", options...), `{service_name="checkout"}`
			start, end := w.window()

			types, err := reads.ProfileTypes(ctx, connect.NewRequest(&querierv1.ProfileTypesRequest{Start: start, End: end}))
			ids := []string{}
			for _, kind := range answer(t, types, err).ProfileTypes {
				ids = append(ids, kind.ID)
			}
			same(t, ids, []string{cpu, "process_cpu:samples:count:cpu:nanoseconds"})

			names, err := reads.LabelNames(ctx, connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end}))
			same(t, answer(t, names, err).Names, []string{"__name__", "__period_type__", "__period_unit__", "__profile_type__",
				"__service_name__", "__type__", "__unit__", "region", "service_name"})

			values, err := reads.LabelValues(ctx, connect.NewRequest(&typesv1.LabelValuesRequest{Start: start, End: end, Name: "region"}))
			same(t, answer(t, values, err).Names, []string{"eu"})

			series, err := reads.Series(ctx, connect.NewRequest(&querierv1.SeriesRequest{
				Start: start, End: end, Matchers: []string{selector}, LabelNames: []string{"service_name", "region"}}))
			same(t, texts(answer(t, series, err).LabelsSet), []string{"region=eu,service_name=checkout,"})

			totals, err := reads.SelectSeries(ctx, connect.NewRequest(&querierv1.SelectSeriesRequest{
				ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end, Step: 15, GroupBy: []string{"region"}}))
			points := answer(t, totals, err).Series[0].Points
			if len(points) != 1 || points[0].Value != 60 || points[0].Timestamp < at.UnixMilli() || points[0].Timestamp > at.UnixMilli()+15000 {
				t.Fatalf("points: %v", points)
			}

			request := &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}
			graph, err := reads.SelectMergeStacktraces(ctx, connect.NewRequest(request))
			same(t, levels(answer(t, graph, err).Flamegraph.Levels), [][]int64{{0, 60, 0, 0}, {0, 60, 0, 1}, {0, 50, 20, 3, 0, 10, 10, 2}, {20, 30, 30, 4}})
			same(t, graph.Msg.Flamegraph.Names, []string{"total", "main", "idle", "handle", "parse"})

			request.Format = querierv1.ProfileFormat_PROFILE_FORMAT_PPROF
			whole, err := reads.SelectMergeStacktraces(ctx, connect.NewRequest(request))
			merged, err2 := reads.SelectMergeProfile(ctx, connect.NewRequest(&querierv1.SelectMergeProfileRequest{
				ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}))
			if !proto.Equal(answer(t, whole, err).Pprof.Profile, answer(t, merged, err2)) {
				t.Fatal("the two ways to a whole profile differ")
			}
			same(t, stacks(merged.Msg), []string{"handle:7<main:7 20", "idle:7<main:7 10", "parse:7<handle:7<main:7 30"})

			diff, err := reads.Diff(ctx, connect.NewRequest(&querierv1.DiffRequest{
				Left:  &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end},
				Right: &querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: `{region="us"}`, Start: start, End: end}}))
			if found := answer(t, diff, err).Flamegraph; found.LeftTicks != 60 || found.RightTicks != 0 || found.Total != 60 {
				t.Fatalf("diff: %v", found)
			}

			spans, err := reads.SelectMergeSpanProfile(ctx, connect.NewRequest(&querierv1.SelectMergeSpanProfileRequest{
				ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end}))
			if found := answer(t, spans, err).Flamegraph.Total; found != 60 {
				t.Fatalf("without a span there are %d", found)
			}

			stats, err := reads.GetProfileStats(ctx, connect.NewRequest(&typesv1.GetProfileStatsRequest{}))
			if found := answer(t, stats, err); !found.DataIngested || found.OldestProfileTime != at.UnixMilli() || found.NewestProfileTime != at.UnixMilli() {
				t.Fatalf("stats: %v", found)
			}

			_, err = reads.SelectHeatmap(ctx, connect.NewRequest(&querierv1.SelectHeatmapRequest{Start: start, End: end}))
			wants(t, err, connect.CodeUnimplemented)
		})
	}
}

func answer[M any](t testing.TB, response *connect.Response[M], err error) *M {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return response.Msg
}

func same[T any](t testing.TB, found, wanted T) {
	t.Helper()
	if !equal(found, wanted) {
		t.Fatalf("found  %v\nwanted %v", found, wanted)
	}
}

func levels(of []*querierv1.Level) (found [][]int64) {
	for _, one := range of {
		found = append(found, one.Values)
	}
	return found
}

func texts(sets []*typesv1.Labels) (found []string) {
	for _, set := range sets {
		text := ""
		for _, pair := range set.Labels {
			text += pair.Name + "=" + pair.Value + ","
		}
		found = append(found, text)
	}
	return found
}

// stacks of a profile with one value, as lines in order.
func stacks(p *googlev1.Profile) (found []string) {
	for _, one := range p.Sample {
		found = append(found, stackText(p, one))
	}
	slices.Sort(found)
	return found
}
