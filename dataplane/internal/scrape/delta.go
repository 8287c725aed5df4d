package scrape

import (
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

const mostStacks = 50_000 // that are remembered of one profile

var errTooManyStacks = errors.New("it has too many stacks to be remembered")

// delta turns cumulative profiles of one process into what came in between, as Alloy and godeltaprof do. A stack is told
// by its functions, lines and labels.
type delta struct {
	types []string // that are cumulative
	seed  maphash.Seed
	seen  map[uint64][]int64
	at    time.Time // when it was seen
}

func newDelta(types []string) *delta { return &delta{types: types, seed: maphash.MakeSeed()} }

// since leaves of a profile what came since the last one. It is false for the first one, and for the first of another
// process: nothing cumulative ever gets less, or goes.
func (d *delta) since(p *profile.Profile, at time.Time) (bool, error) {
	columns, err := d.columns(p)
	if err != nil {
		return false, err
	}
	before, from := d.seen, d.at
	now, err := d.totals(p, columns)
	if err != nil {
		d.seen = nil
		return false, err
	}
	d.seen, d.at = now, at
	if before == nil || hasShrunk(before, now) {
		return false, nil
	}
	p.TimeNanos, p.DurationNanos = from.UnixNano(), int64(at.Sub(from))
	// Go writes some stacks more than once: the first of them has what came since, in the cumulative columns.
	told, key := map[uint64]bool{}, keys(d.seed)
	for _, sample := range p.Sample {
		key := key(sample)
		for i, column := range columns {
			sample.Value[column] = 0
			if total, ok := now[key]; ok && !told[key] {
				sample.Value[column] = total[i]
				if old, ok := before[key]; ok {
					sample.Value[column] -= old[i]
				}
			}
		}
		told[key] = true
	}
	p.Sample = slices.DeleteFunc(p.Sample, func(sample *profile.Sample) bool {
		return !slices.ContainsFunc(sample.Value, func(value int64) bool { return value != 0 })
	})
	return true, nil
}

// columns are where the values of the types are. Each is there once in each profile, or totals could not be compared.
func (d *delta) columns(p *profile.Profile) ([]int, error) {
	var kinds []string
	for _, kind := range p.SampleType {
		kinds = append(kinds, kind.Type)
	}
	var columns []int
	for _, name := range d.types {
		column := slices.Index(kinds, name)
		if column < 0 || slices.Contains(kinds[column+1:], name) {
			return nil, errors.New("it is another profile than the one that was asked for")
		}
		columns = append(columns, column)
	}
	return columns, nil
}

func (d *delta) totals(p *profile.Profile, columns []int) (map[uint64][]int64, error) {
	found := make(map[uint64][]int64, len(d.seen))
	key := keys(d.seed)
	for _, sample := range p.Sample {
		// Nothing has been counted yet. Go gives it another label then.
		if !slices.ContainsFunc(columns, func(column int) bool { return sample.Value[column] != 0 }) {
			continue
		}
		key := key(sample)
		total, ok := found[key]
		if !ok {
			if len(found) == mostStacks {
				return nil, errTooManyStacks
			}
			total = make([]int64, len(columns))
			found[key] = total
		}
		for i, column := range columns {
			total[i] += sample.Value[column]
		}
	}
	return found, nil
}

func hasShrunk(before, now map[uint64][]int64) bool {
	for key, old := range before {
		total, ok := now[key]
		if !ok {
			return true
		}
		for i := range old {
			if total[i] < old[i] {
				return true
			}
		}
	}
	return false
}
