package scrape

import (
	"bytes"
	"hash/maphash"
	"maps"
	"runtime/pprof"
	"slices"
	"testing"

	"github.com/google/pprof/profile"
)

// Of real profiles what is done in place leaves each stack once, with the values of before, and nothing that is of none.
func TestCompactInPlace(t *testing.T) {
	seed := maphash.MakeSeed()
	values := func(p *profile.Profile) map[uint64][]int64 {
		found, key := map[uint64][]int64{}, keys(seed)
		for _, sample := range p.Sample {
			sum := append(found[key(sample)], make([]int64, len(sample.Value))...)[:len(sample.Value)]
			for i, value := range sample.Value {
				sum[i] += value
			}
			found[key(sample)] = sum
		}
		return found
	}
	for _, name := range []string{"allocs", "goroutine"} {
		var text bytes.Buffer
		if err := pprof.Lookup(name).WriteTo(&text, 0); err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse(&text)
		if err != nil {
			t.Fatal(err)
		}
		all := len(p.Location)
		p.Sample = p.Sample[:(len(p.Sample)+1)/2]
		for _, sample := range slices.Clone(p.Sample) {
			p.Sample = append(p.Sample, &profile.Sample{
				Value: slices.Clone(sample.Value), Location: sample.Location, NumLabel: sample.NumLabel, NumUnit: sample.NumUnit,
			})
		}
		want := values(p)
		compact(p)
		if err := p.CheckValid(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(p.Sample) != len(want) || !maps.EqualFunc(values(p), want, slices.Equal[[]int64]) {
			t.Errorf("%s: %d samples of %d stacks", name, len(p.Sample), len(want))
		}
		functions := map[*profile.Function]bool{}
		for _, location := range p.Location {
			for _, line := range location.Line {
				functions[line.Function] = true
			}
		}
		if used := locations(p); used != len(p.Location) || used == all || len(functions) != len(p.Function) {
			t.Errorf("%s: %d locations of %d, %d functions; %d and %d are used", name, len(p.Location), all, len(p.Function), used, len(functions))
		}
	}
}
