package devstore

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	bolt "go.etcd.io/bbolt"
)

// querier serves querier.v1. What is not written here answers that it is not implemented.
type querier struct {
	*Store
	querierv1connect.UnimplementedQuerierServiceHandler
}

// found are the label sets of a window that match.
func (q querier) found(ctx context.Context, start, end int64, matchers ...string) ([]labels.Labels, error) {
	one, err := q.windowed(ctx, start, end)
	if err != nil {
		return nil, err
	}
	if err := one.matching(matchers...); err != nil {
		return nil, err
	}
	var sets []labels.Labels
	err = q.db.View(func(tx *bolt.Tx) error {
		series, err := one.series(tx)
		for _, each := range series {
			sets = append(sets, each.labels)
		}
		return err
	})
	if err != nil {
		return nil, internal(err)
	}
	return sets, nil
}

// ProfileTypes of a window; of the last hour when none is named, as old data sources of Grafana do.
func (q querier) ProfileTypes(
	ctx context.Context, request *connect.Request[querierv1.ProfileTypesRequest],
) (*connect.Response[querierv1.ProfileTypesResponse], error) {
	start, end := request.Msg.Start, request.Msg.End
	if start == 0 && end == 0 {
		now := q.options.Now()
		start, end = now.Add(-time.Hour).UnixMilli(), now.UnixMilli()
	}
	sets, err := q.found(ctx, start, end)
	if err != nil {
		return nil, err
	}
	types := map[string]*typesv1.ProfileType{}
	for _, set := range sets {
		id := set.Get(profileTypeLabel)
		if kind, err := profileType(id); err == nil {
			types[id] = kind
		}
	}
	answer := &querierv1.ProfileTypesResponse{}
	for _, id := range slices.Sorted(maps.Keys(types)) {
		answer.ProfileTypes = append(answer.ProfileTypes, types[id])
	}
	return connect.NewResponse(answer), nil
}

// LabelNames leaves out those that are more than letters, digits and underscores, which old clients cannot ask for.
func (q querier) LabelNames(
	ctx context.Context, request *connect.Request[typesv1.LabelNamesRequest],
) (*connect.Response[typesv1.LabelNamesResponse], error) {
	sets, err := q.found(ctx, request.Msg.Start, request.Msg.End, request.Msg.Matchers...)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&typesv1.LabelNamesResponse{Names: plainNames(sets)}), nil
}

func plainNames(sets []labels.Labels) []string {
	names := map[string]bool{}
	for _, set := range sets {
		set.Range(func(one labels.Label) {
			if model.LegacyValidation.IsValidLabelName(one.Name) {
				names[one.Name] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(names))
}

// LabelValues of one name.
func (q querier) LabelValues(
	ctx context.Context, request *connect.Request[typesv1.LabelValuesRequest],
) (*connect.Response[typesv1.LabelValuesResponse], error) {
	if request.Msg.Name == "" {
		return nil, invalid("name is required")
	}
	sets, err := q.found(ctx, request.Msg.Start, request.Msg.End, request.Msg.Matchers...)
	if err != nil {
		return nil, err
	}
	values := map[string]bool{}
	for _, set := range sets {
		if value := set.Get(request.Msg.Name); value != "" {
			values[value] = true
		}
	}
	return connect.NewResponse(&typesv1.LabelValuesResponse{Names: slices.Sorted(maps.Keys(values))}), nil
}

// Series are the label sets, of some names alone when these are given.
func (q querier) Series(
	ctx context.Context, request *connect.Request[querierv1.SeriesRequest],
) (*connect.Response[querierv1.SeriesResponse], error) {
	sets, err := q.found(ctx, request.Msg.Start, request.Msg.End, request.Msg.Matchers...)
	if err != nil {
		return nil, err
	}
	names := request.Msg.LabelNames
	if len(names) == 0 {
		names = plainNames(sets)
	}
	seen := map[string][]*typesv1.LabelPair{}
	for _, set := range sets {
		part := labels.NewBuilder(set).Keep(names...).Labels()
		if part.Len() > 0 {
			seen[string(packLabels(part))] = pairs(part)
		}
	}
	answer := &querierv1.SeriesResponse{}
	for _, set := range slices.SortedFunc(maps.Values(seen), comparePairs) {
		answer.LabelsSet = append(answer.LabelsSet, &typesv1.Labels{Labels: set})
	}
	return connect.NewResponse(answer), nil
}

func pairs(set labels.Labels) []*typesv1.LabelPair {
	found := []*typesv1.LabelPair{}
	set.Range(func(one labels.Label) {
		found = append(found, &typesv1.LabelPair{Name: one.Name, Value: one.Value})
	})
	return found
}

func comparePairs(a, b []*typesv1.LabelPair) int {
	return slices.CompareFunc(a, b, func(one, other *typesv1.LabelPair) int {
		if order := strings.Compare(one.Name, other.Name); order != 0 {
			return order
		}
		return strings.Compare(one.Value, other.Value)
	})
}

// GetProfileStats says whether there is anything at all, for the first page of Grafana's app.
func (q querier) GetProfileStats(
	ctx context.Context, _ *connect.Request[typesv1.GetProfileStatsRequest],
) (*connect.Response[typesv1.GetProfileStatsResponse], error) {
	answer := &typesv1.GetProfileStatsResponse{}
	err := q.db.View(func(tx *bolt.Tx) error {
		_, _, bodies := open(tx, tenantOf(ctx))
		if bodies == nil {
			return nil
		}
		if first, _ := bodies.Cursor().First(); first != nil {
			last, _ := bodies.Cursor().Last()
			answer.DataIngested = true
			answer.OldestProfileTime, answer.NewestProfileTime = place(first).nanos()/1e6, place(last).nanos()/1e6
		}
		return nil
	})
	if err != nil {
		return nil, internal(err)
	}
	return connect.NewResponse(answer), nil
}
