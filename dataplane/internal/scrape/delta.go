package scrape

import (
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

// delta turns cumulative profiles of one process into what came in between, as Alloy and godeltaprof do. A stack is told
// by its functions, lines and labels.
type delta struct {
	memory *memory
	pod    string   // by its UID
	types  []string // that are cumulative
	seed   maphash.Seed
	at     time.Time // of what is to be remembered
}

func newDelta(memory *memory, pod string, types []string) *delta {
	return &delta{memory: memory, pod: pod, types: types, seed: maphash.MakeSeed()}
}

// since leaves of a profile what came since the last one, which can be “sent“. Otherwise it is the “first“ one, also of
// another process: nothing cumulative ever gets less, or goes. Or the last one was “forgotten“: its totals took too much.
func (d *delta) since(p *profile.Profile, at time.Time) (outcome string, err error) {
	columns, err := d.columns(p)
	if err != nil {
		return "", err
	}
	before, from := d.memory.take(d), d.at
	d.at = time.Time{}
	all := d.counted(p, columns)
	now, err := summed(all, columns)
	if err != nil {
		return "", err
	}
	d.at = at
	d.memory.keep(d, now)
	switch {
	case from.IsZero():
		return "first", nil
	case before == nil:
		return "forgotten", nil
	}
	came, ok := now.since(before)
	if !ok {
		return "first", nil
	}
	p.TimeNanos, p.DurationNanos = from.UnixNano(), int64(at.Sub(from))
	for _, each := range all {
		values := now.of(each.key, came)
		for i, column := range columns {
			each.sample.Value[column] = values[i]
		}
		clear(values) // Go writes some stacks more than once: the first of them has all of it
	}
	p.Sample = slices.DeleteFunc(p.Sample, func(sample *profile.Sample) bool {
		return !slices.ContainsFunc(sample.Value, func(value int64) bool { return value != 0 })
	})
	return "sent", nil
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

// counted are the samples of which something has been counted. Of the others Go gives some another label then.
func (d *delta) counted(p *profile.Profile, columns []int) []counted {
	found := make([]counted, 0, len(p.Sample))
	key := keys(d.seed)
	for _, sample := range p.Sample {
		if slices.ContainsFunc(columns, func(column int) bool { return sample.Value[column] != 0 }) {
			found = append(found, counted{key(sample), sample})
		}
	}
	return found
}
