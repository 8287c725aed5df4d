package devstore

import (
	"context"
	"slices"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
)

// Diff draws two trees as one. Its values are as stored: nothing is normalised.
func (q querier) Diff(
	ctx context.Context, request *connect.Request[querierv1.DiffRequest],
) (*connect.Response[querierv1.DiffResponse], error) {
	left, right := request.Msg.GetLeft(), request.Msg.GetRight()
	if left == nil {
		left = &querierv1.SelectMergeStacktracesRequest{}
	}
	if right == nil {
		right = &querierv1.SelectMergeStacktracesRequest{}
	}
	most, err := q.nodes(ctx, max(left.GetMaxNodes(), right.GetMaxNodes()))
	if err != nil {
		return nil, err
	}
	var trees [2]*node
	for i, side := range []*querierv1.SelectMergeStacktracesRequest{left, right} {
		if trees[i], err = q.tree(ctx, side, most); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err) // whatever it is, as in Pyroscope
		}
	}
	return connect.NewResponse(&querierv1.DiffResponse{Flamegraph: difference(trees[0], trees[1], most)}), nil
}

// both sides of one node.
type both struct {
	name        string
	left, right node
	children    []*both
}

// joined puts two trees side by side: each node has both sides, one of which may be nothing.
func joined(name string, left, right *node) *both {
	one := &both{name: name, left: *left, right: *right}
	nothing := &node{}
	l, r := left.children, right.children
	for len(l)+len(r) > 0 {
		switch {
		case len(r) == 0 || len(l) > 0 && l[0].name < r[0].name:
			one.children = append(one.children, joined(l[0].name, l[0], nothing))
			l = l[1:]
		case len(l) == 0 || l[0].name > r[0].name:
			one.children = append(one.children, joined(r[0].name, nothing, r[0]))
			r = r[1:]
		default:
			one.children = append(one.children, joined(l[0].name, l[0], r[0]))
			l, r = l[1:], r[1:]
		}
	}
	return one
}

func (b *both) totals(into []int64) []int64 {
	into = append(into, max(b.left.total, b.right.total))
	for _, child := range b.children {
		into = child.totals(into)
	}
	return into
}

// difference draws both trees as Pyroscope does (`pkg/model/flamegraph_diff.go`): per node offset, total and self of the
// left, the same of the right, and its name's number.
func difference(left, right *node, most int64) *querierv1.FlameGraphDiff {
	root := joined("", left, right)
	d := &drawing{names: map[string]int64{}, least: nth(root.totals(nil), most)}
	d.drawBoth(root, 0, 0, 0)
	d.ordered[0] = "total"
	graph := &querierv1.FlameGraphDiff{
		Names: d.ordered, Total: left.total + right.total, MaxSelf: d.most, LeftTicks: left.total, RightTicks: right.total,
	}
	for _, level := range d.levels {
		slices.Reverse(level)
		graph.Levels = append(graph.Levels, &querierv1.Level{Values: relative(level, 7, 0, 3)})
	}
	return graph
}

func (d *drawing) drawBoth(b *both, level int, left, right int64) {
	if max(b.left.total, b.right.total) < d.least && b.name != other {
		return
	}
	if level == len(d.levels) {
		d.levels = append(d.levels, nil)
	}
	d.levels[level] = append(d.levels[level], []int64{
		left, b.left.total, b.left.self, right, b.right.total, b.right.self, d.number(b.name),
	})
	d.most = max(d.most, b.left.self, b.right.self)
	left, right = left+b.left.self, right+b.right.self
	var shown []*both
	rest := &both{name: other}
	for _, child := range b.children {
		if max(child.left.total, child.right.total) >= d.least {
			shown = append(shown, child)
			continue
		}
		rest.left.total += child.left.total
		rest.right.total += child.right.total
	}
	rest.left.self, rest.right.self = rest.left.total, rest.right.total
	if rest.left.total+rest.right.total != 0 {
		shown = append(shown, rest)
	}
	for _, child := range shown {
		left, right = left+child.left.total, right+child.right.total
	}
	for _, child := range slices.Backward(shown) {
		left, right = left-child.left.total, right-child.right.total
		d.drawBoth(child, level+1, left, right)
	}
}
