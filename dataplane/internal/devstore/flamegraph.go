package devstore

import (
	"slices"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
)

// flamegraph draws a tree as Pyroscope does (`pkg/model/flamegraph.go`): per node its offset from the one before, its
// total, itself, and its name's number; the root is named total.
func flamegraph(root *node, most int64) *querierv1.FlameGraph {
	d := &drawing{names: map[string]int64{}, least: root.least(most)}
	whole := *root
	whole.name = "total" // a function of that name has the same number
	d.draw(&whole, 0, 0)
	graph := &querierv1.FlameGraph{Names: d.ordered, Total: root.total, MaxSelf: d.most}
	for _, level := range d.levels {
		slices.Reverse(level)
		graph.Levels = append(graph.Levels, &querierv1.Level{Values: relative(level, 4)})
	}
	return graph
}

// drawing goes through a tree from right to left, which the order of the names follows.
type drawing struct {
	names   map[string]int64
	ordered []string
	levels  [][][]int64
	least   int64
	most    int64
}

func (d *drawing) draw(n *node, level int, offset int64) {
	if level == len(d.levels) {
		d.levels = append(d.levels, nil)
	}
	d.levels[level] = append(d.levels[level], []int64{offset, n.total, n.self, d.number(n.name)})
	d.most = max(d.most, n.self)
	offset += n.self
	var shown []*node
	var rest int64
	for _, child := range n.children {
		if child.total >= d.least && child.name != other {
			shown = append(shown, child)
		} else {
			rest += child.total
		}
	}
	if rest != 0 {
		shown = append(shown, &node{name: other, self: rest, total: rest})
	}
	end := offset
	for _, child := range shown {
		end += child.total
	}
	for _, child := range slices.Backward(shown) {
		end -= child.total
		d.draw(child, level+1, end)
	}
}

// number of a name in the table of names.
func (d *drawing) number(name string) int64 {
	found, ok := d.names[name]
	if !ok {
		found = int64(len(d.ordered))
		d.names[name] = found
		d.ordered = append(d.ordered, name)
	}
	return found
}

// relative makes of offsets from the left edge offsets from the node before, of which the next value is the width.
func relative(level [][]int64, fields int, offsets ...int) []int64 {
	if len(offsets) == 0 {
		offsets = []int{0}
	}
	flat := make([]int64, 0, len(level)*fields)
	for _, one := range level {
		flat = append(flat, one...)
	}
	for _, first := range offsets {
		var before int64
		for i := first; i < len(flat); i += fields {
			flat[i] -= before
			before += flat[i] + flat[i+1]
		}
	}
	return flat
}
