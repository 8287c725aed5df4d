package scrape

import (
	"errors"
	"slices"

	"github.com/google/pprof/profile"
)

const mostStacks = 50_000 // that are remembered of one profile

var errTooManyStacks = errors.New("it has too many stacks to be remembered")

// totals are the cumulative values of a profile by stack, in as few bytes as can be: this is what is remembered. Two
// stacks of one hash are one stack to them; what came of both is right then, and told of one of them.
type totals struct {
	keys   []uint64 // of the stacks, in order
	values []int64  // as many of each stack as there are columns
}

// counted is a sample that has something cumulative.
type counted struct {
	key    uint64
	sample *profile.Sample
}

func summed(all []counted, columns []int) (*totals, error) {
	keys := make([]uint64, len(all))
	for i, each := range all {
		keys[i] = each.key
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) > mostStacks {
		return nil, errTooManyStacks
	}
	t := &totals{keys: make([]uint64, len(keys)), values: make([]int64, len(keys)*len(columns))}
	copy(t.keys, keys) // without the room of what was there more than once
	for _, each := range all {
		values := t.of(each.key, t.values)
		for i, column := range columns {
			values[i] += each.sample.Value[column]
		}
	}
	return t, nil
}

// of is what “values“, which are in the order of the stacks, have of one. It is nil where there is no such stack.
func (t *totals) of(key uint64, values []int64) []int64 {
	i, ok := slices.BinarySearch(t.keys, key)
	if !ok {
		return nil
	}
	wide := len(values) / len(t.keys)
	return values[i*wide : (i+1)*wide]
}

// since is what came after “before“, in the order of the stacks. It is false where something got less, or is gone.
func (t *totals) since(before *totals) ([]int64, bool) {
	came := slices.Clone(t.values)
	for _, key := range before.keys {
		values := t.of(key, came)
		if values == nil {
			return nil, false
		}
		for i, old := range before.of(key, before.values) {
			if values[i] -= old; values[i] < 0 {
				return nil, false
			}
		}
	}
	return came, true
}

func (t *totals) size() int { return 8 * (len(t.keys) + len(t.values)) }
