package scrape

import (
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// A program may answer with other types than before, of which no difference can be taken.
func TestTypesThatChangeAreNoDifference(t *testing.T) {
	made := func(types ...string) *profile.Profile {
		one := &profile.Sample{Location: []*profile.Location{{ID: 1, Address: 1}}}
		p := &profile.Profile{Sample: []*profile.Sample{one}}
		for _, name := range types {
			p.SampleType = append(p.SampleType, &profile.ValueType{Type: name})
			one.Value = append(one.Value, int64(len(name)))
		}
		return p
	}
	between := newDelta(newMemory(mostRemembered), "1", []string{"contentions", "delay"})
	if outcome, err := between.since(made("contentions", "delay"), time.Now()); outcome != "first" || err != nil {
		t.Fatal(outcome, err)
	}
	for _, types := range []string{"contentions", "delay", "contentions delay delay", "contentions contentions"} {
		if outcome, err := between.since(made(strings.Fields(types)...), time.Now()); outcome != "" || err == nil {
			t.Errorf("%s: %s %v", types, outcome, err)
		}
	}
	turned := made("delay", "contentions")
	if outcome, err := between.since(turned, time.Now()); outcome != "sent" || err != nil || len(turned.Sample) != 0 {
		t.Errorf("%s %v: %v", outcome, err, turned.Sample)
	}
}

func TestTooManyStacksAreNotRemembered(t *testing.T) {
	between := newDelta(newMemory(mostRemembered), "1", []string{"delay"})
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "delay", Unit: "nanoseconds"}}}
	for i := range uint64(mostStacks + 1) {
		p.Sample = append(p.Sample, &profile.Sample{Value: []int64{1}, Location: []*profile.Location{{ID: i + 1, Address: i + 1}}})
	}
	if _, err := between.since(p, time.Now()); err == nil || between.memory.bytes() != 0 {
		t.Errorf("%v", err)
	}
}

// A difference is never negative, and what is sent of two profiles is not more than the second has.
func FuzzDelta(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, []byte{1, 5, 3, 9})
	f.Add([]byte{1, 2, 1, 3}, []byte{1, 5, 2, 1})
	f.Add([]byte{1, 2}, []byte{1, 5, 1, 3})
	made := func(text []byte) *profile.Profile {
		p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "delay"}, {Type: "inuse_space"}}}
		for ; len(text) > 1; text = text[2:] {
			p.Sample = append(p.Sample, &profile.Sample{
				Value: []int64{int64(text[1]), 1}, Location: []*profile.Location{{ID: 1, Address: uint64(text[0])}},
			})
		}
		return p
	}
	sum := func(p *profile.Profile) (total int64) {
		for _, sample := range p.Sample {
			if sample.Value[0] < 0 {
				total = -1 << 40
			}
			total += sample.Value[0]
		}
		return total
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		between := newDelta(newMemory(mostRemembered), "1", []string{"delay"})
		before, now := made(first), made(second)
		old, all := sum(before), sum(now)
		if outcome, err := between.since(before, time.Now()); outcome != "first" || err != nil {
			t.Fatal(outcome, err)
		}
		if outcome, err := between.since(now, time.Now()); err != nil || outcome == "sent" && sum(now) != all-old {
			t.Errorf("%v then %v: %d of %d and %d", first, second, sum(now), old, all)
		}
	})
}
