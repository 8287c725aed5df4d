package devstore

import (
	"context"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
)

// nodes is how many nodes an answer may have: the tenant's default, or what is asked for within its limit.
func (s *Store) nodes(ctx context.Context, asked int64) (int64, error) {
	limits := s.limits.of(tenantOf(ctx))
	most := int64(limits.MaxNodes)
	switch {
	case asked == 0:
		return int64(limits.MaxNodesDefault), nil
	case most != 0 && asked > most:
		return 0, invalid("max flamegraph nodes limit %d is greater than allowed %d", asked, most)
	case most != 0 && asked < 0:
		return 0, invalid("max flamegraph nodes limit must be set (max allowed %d)", most)
	}
	return asked, nil
}

// SelectMergeStacktraces adds up the stacks of a selection: a flame graph or a tree, or a whole profile as
// pprof.
func (q querier) SelectMergeStacktraces(
	ctx context.Context, request *connect.Request[querierv1.SelectMergeStacktracesRequest],
) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	m, answer := request.Msg, &querierv1.SelectMergeStacktracesResponse{}
	if m.Async != nil {
		return nil, notBuilt("asynchronous queries")
	}
	switch m.Format {
	case querierv1.ProfileFormat_PROFILE_FORMAT_DOT:
		return nil, notBuilt("format dot")
	case querierv1.ProfileFormat_PROFILE_FORMAT_PPROF:
		merged, err := q.merged(ctx, m)
		if err != nil {
			return nil, err
		}
		answer.Pprof = &querierv1.PprofProfile{Profile: merged}
		return connect.NewResponse(answer), nil
	}
	most, err := q.nodes(ctx, m.GetMaxNodes())
	if err != nil {
		return nil, err
	}
	root, err := q.tree(ctx, m, most)
	if err != nil {
		return nil, err
	}
	if m.Format == querierv1.ProfileFormat_PROFILE_FORMAT_TREE {
		answer.Tree = root.bytes()
	} else {
		answer.Flamegraph = flamegraph(root, m.GetMaxNodes())
	}
	return connect.NewResponse(answer), nil
}

// SelectMergeSpanProfile is how older Grafana asks for the flame graph of spans.
func (q querier) SelectMergeSpanProfile(
	ctx context.Context, request *connect.Request[querierv1.SelectMergeSpanProfileRequest],
) (*connect.Response[querierv1.SelectMergeSpanProfileResponse], error) {
	m, format := request.Msg, querierv1.ProfileFormat_PROFILE_FORMAT_FLAMEGRAPH
	if m.Format == querierv1.ProfileFormat_PROFILE_FORMAT_TREE {
		format = m.Format
	}
	answer, err := q.SelectMergeStacktraces(ctx, connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: m.ProfileTypeID, LabelSelector: m.LabelSelector, Start: m.Start, End: m.End, MaxNodes: m.MaxNodes,
		SpanSelector: m.SpanSelector, Format: format,
	}))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&querierv1.SelectMergeSpanProfileResponse{Flamegraph: answer.Msg.Flamegraph, Tree: answer.Msg.Tree}), nil
}

// SelectMergeProfile is the whole profile of a selection, not pruned unless that is asked for.
func (q querier) SelectMergeProfile(
	ctx context.Context, request *connect.Request[querierv1.SelectMergeProfileRequest],
) (*connect.Response[googlev1.Profile], error) {
	m := request.Msg
	merged, err := q.merged(ctx, &querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: m.ProfileTypeID, LabelSelector: m.LabelSelector, Start: m.Start, End: m.End, MaxNodes: m.MaxNodes,
		StackTraceSelector: m.StackTraceSelector, ProfileIdSelector: m.ProfileIdSelector, TraceIdSelector: m.TraceIdSelector,
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(merged), nil
}

// asked reads what a query of stacks selects.
func (q querier) asked(ctx context.Context, m *querierv1.SelectMergeStacktracesRequest) (*selection, error) {
	if m.StackTraceSelector.GetGoPgo() != nil {
		return nil, notBuilt("selector of stacks for the Go compiler (go_pgo)")
	}
	one, err := q.windowed(ctx, m.Start, m.End)
	if err != nil {
		return nil, err
	}
	if _, err := one.typed(m.ProfileTypeID); err != nil {
		return nil, err
	}
	if err := one.matching(m.LabelSelector); err != nil {
		return nil, err
	}
	for _, location := range m.StackTraceSelector.GetCallSite() {
		one.callSite = append(one.callSite, location.GetName())
	}
	return one, one.only(m.ProfileIdSelector, m.SpanSelector, m.TraceIdSelector)
}

func (q querier) tree(ctx context.Context, m *querierv1.SelectMergeStacktracesRequest, most int64) (*node, error) {
	one, err := q.asked(ctx, m)
	if err != nil {
		return nil, err
	}
	found := &tree{}
	if err := q.each(ctx, one, found.addProfile); err != nil {
		return nil, err
	}
	found.prune(most)
	return &found.node, nil
}

func (q querier) merged(ctx context.Context, m *querierv1.SelectMergeStacktracesRequest) (*googlev1.Profile, error) {
	one, err := q.asked(ctx, m)
	if err != nil {
		return nil, err
	}
	kind, err := profileType(m.ProfileTypeID)
	if err != nil {
		return nil, invalid("%v", err)
	}
	most := m.GetMaxNodes()
	if q.limits.of(one.tenant).MaxNodesOfProfile {
		if most, err = q.nodes(ctx, most); err != nil {
			return nil, err
		}
	}
	merger := newMerger()
	if err := q.each(ctx, one, merger.add); err != nil {
		return nil, err
	}
	return merger.profile(kind, one.to, most), nil
}
