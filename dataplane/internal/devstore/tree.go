package devstore

import (
	"encoding/binary"
	"slices"
	"strings"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
)

const other = "other" // what is too small to be shown

// node of a tree of function names; its children are in the order of their names.
type node struct {
	name        string
	self, total int64
	children    []*node
}

// tree of stacks. Its root has no name.
type tree struct {
	node
	stack []string
}

// addProfile adds every stack of a profile, by one column of its values. A location without a name adds nothing.
func (t *tree) addProfile(read *googlev1.Profile, number int) {
	for _, sample := range read.Sample {
		t.stack = t.stack[:0]
		for _, id := range sample.LocationId {
			for _, line := range read.Location[id-1].Line {
				t.stack = append(t.stack, read.StringTable[read.Function[line.FunctionId-1].Name])
			}
		}
		t.add(sample.Value[number], t.stack)
	}
}

// add puts a value at the end of a stack, of which the leaf comes first.
func (t *tree) add(value int64, stack []string) {
	if value <= 0 || len(stack) == 0 {
		return
	}
	at := &t.node
	at.total += value
	for _, name := range slices.Backward(stack) {
		at = at.child(name)
		at.total += value
	}
	at.self += value
}

func (n *node) child(name string) *node {
	i, found := slices.BinarySearchFunc(n.children, name, func(one *node, name string) int { return strings.Compare(one.name, name) })
	if !found {
		n.children = slices.Insert(n.children, i, &node{name: name})
	}
	return n.children[i]
}

// walk visits every node below one.
func (n *node) walk(see func(*node)) {
	for _, child := range n.children {
		see(child)
		child.walk(see)
	}
}

// least is the total below which a node is not among the greatest; 0 when all are.
func (n *node) least(most int64) int64 {
	var totals []int64
	n.walk(func(one *node) { totals = append(totals, one.total) })
	return nth(totals, most)
}

func nth(totals []int64, most int64) int64 {
	if most < 1 || int64(len(totals)) <= most {
		return 0
	}
	slices.Sort(totals)
	return totals[int64(len(totals))-most]
}

// prunings is how often Pyroscope truncates a tree on its way from one block. Each counts the nodes named other that the
// one before has made.
const prunings = 3

func (n *node) prune(most int64) {
	for range prunings {
		n.truncate(n.least(most))
	}
}

// truncate makes what is smaller than “least“ part of a sibling named other.
func (n *node) truncate(least int64) {
	var rest int64
	n.children = slices.DeleteFunc(n.children, func(child *node) bool {
		small := child.total < least && child.name != other
		if small {
			rest += child.total
		}
		return small
	})
	if rest > 0 {
		one := n.child(other)
		one.self += rest
		one.total += rest
	}
	for _, child := range n.children {
		child.truncate(least)
	}
}

// bytes are Pyroscope's own form of a tree: name, self and number of children of each node, from right to left.
func (n *node) bytes() []byte {
	if len(n.children) == 0 {
		return nil
	}
	return n.append(nil)
}

func (n *node) append(to []byte) []byte {
	to = append(binary.AppendUvarint(to, uint64(len(n.name))), n.name...)
	to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(n.self)), uint64(len(n.children)))
	for _, child := range slices.Backward(n.children) {
		to = child.append(to)
	}
	return to
}
