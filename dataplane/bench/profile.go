package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

const (
	team     = "payments"
	kind     = "process_cpu"
	typeID   = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
	service  = "checkout" // asked for, and pushed to before the clock starts
	other    = "ledger"   // pushed to while it runs
	upload   = 15 * time.Second
	sampleNS = 10_000_000
	// What an agent sends of a Go service with a busy core: some 330 stacks, 28 KB packed.
	stacks    = 331
	known     = 500 // stacks that the service has
	branches  = 2   // others that a function calls
	functions = 60  // at each depth
)

// walks are the stacks of one service, root first: walks through a graph of calls, in which each function calls some
// others. Profiles of it are of the same ones, as they are of a real service.
func walks() [][]string {
	random := rand.New(rand.NewPCG(7, 7))
	all := make([][]string, known)
	for i := range all {
		walk, at := []string{"runtime.main", "main.main"}, 0
		for depth := range 8 + random.IntN(16) {
			at = (at*branches + random.IntN(branches)) % functions
			walk = append(walk, fmt.Sprintf("example.com/shop/package%d.(*Type%d).method%d", depth, at%5, at))
		}
		all[i] = walk
	}
	return all
}

// recording is a made profile: the sizes of a real one, and a total that answers can be held against. The same “seed“
// makes the same profile.
func recording(seed uint64, at time.Time) (packed []byte, total int64, err error) {
	random, all := rand.New(rand.NewPCG(seed, 1)), walks()
	made := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}, PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"},
		Period: sampleNS, TimeNanos: at.UnixNano(), DurationNanos: upload.Nanoseconds(),
	}
	frames := map[string]*profile.Location{}
	for _, i := range random.Perm(known)[:stacks] {
		sample := &profile.Sample{Value: []int64{int64(1+random.IntN(20)) * sampleNS}}
		total += sample.Value[0]
		for _, name := range slices.Backward(all[i]) { // the leaf is first
			sample.Location = append(sample.Location, location(made, frames, name))
		}
		made.Sample = append(made.Sample, sample)
	}
	if err := made.CheckValid(); err != nil {
		return nil, 0, err
	}
	var out bytes.Buffer
	err = made.Write(&out)
	return out.Bytes(), total, err
}

func location(made *profile.Profile, known map[string]*profile.Location, name string) *profile.Location {
	if found := known[name]; found != nil {
		return found
	}
	place := fnv.New32a() // the same in all profiles
	_, _ = place.Write([]byte(name))
	id, at := uint64(len(made.Function)+1), int64(place.Sum32())
	function := &profile.Function{ID: id, Name: name, SystemName: name, Filename: fmt.Sprintf("/src/shop/file%d.go", at%60)}
	found := &profile.Location{ID: id, Address: 0x400000 + uint64(at%(1<<22)), Line: []profile.Line{{Function: function, Line: 1 + at%900}}}
	made.Function, made.Location = append(made.Function, function), append(made.Location, found)
	known[name] = found
	return found
}

// pushing is a request of push.v1 with one profile, as the node agent labels it.
func pushing(service string, packed []byte) *pushv1.PushRequest {
	labels := []*typesv1.LabelPair{
		{Name: "__name__", Value: kind}, {Name: "service_name", Value: service}, {Name: "team", Value: team},
		{Name: "namespace", Value: team}, {Name: "pod", Value: service + "-0"}, {Name: "version", Value: "1.0.0"},
	}
	return &pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{{Labels: labels, Samples: []*pushv1.RawSample{{RawProfile: packed}}}}}
}
