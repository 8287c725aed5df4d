package contract

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
)

//go:embed profiles
var profiles embed.FS

// A written profile is a pprof in text, as the agents of several languages make them (profiles/*.yaml).
type written struct {
	Types    []string // type/unit
	Period   string   // type/unit
	Every    int64    `yaml:"every"`
	Duration time.Duration
	Mapping  string
	Samples  []struct {
		Stack  []string // the root first: function@file:line, or a function alone
		Values []int64
		Labels map[string]string
	}
}

// profile is a file of profiles/ as an agent sends it: `go-cpu -30m` is the compressed pprof of go-cpu.yaml, taken then;
// `java.jfr.gz` the file itself, and `java.jfr` what is in it.
func (p *Play) profile(asked string) ([]byte, error) {
	name, offset, _ := strings.Cut(asked, " ")
	if strings.HasSuffix(name, ".jfr.gz") {
		return profiles.ReadFile("profiles/" + name)
	}
	if strings.HasSuffix(name, ".jfr") {
		return unpacked("profiles/" + name + ".gz")
	}
	at, err := p.moment(offset)
	if err != nil {
		return nil, err
	}
	text, err := profiles.ReadFile("profiles/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no profile %q", name)
	}
	var one written
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&one); err != nil {
		return nil, fmt.Errorf("profiles/%s.yaml: %w", name, err)
	}
	built, err := one.build(at)
	if err != nil {
		return nil, fmt.Errorf("profiles/%s.yaml: %w", name, err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(built)
	if err != nil {
		return nil, err
	}
	return packed(raw)
}

func packed(raw []byte) ([]byte, error) {
	var out bytes.Buffer
	to := gzip.NewWriter(&out)
	if _, err := to.Write(raw); err != nil {
		return nil, err
	}
	err := to.Close()
	return out.Bytes(), err
}

func unpacked(file string) ([]byte, error) {
	packed, err := profiles.ReadFile(file)
	if err != nil {
		return nil, err
	}
	from, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(from)
}

func encoded(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// table collects what a pprof refers to by number.
type table struct {
	*googlev1.Profile
	strings   map[string]int64
	functions map[string]uint64
	locations map[string]uint64
}

func (w *written) build(at time.Time) (*googlev1.Profile, error) {
	t := &table{&googlev1.Profile{}, map[string]int64{}, map[string]uint64{}, map[string]uint64{}}
	t.text("")
	for _, one := range w.Types {
		t.SampleType = append(t.SampleType, t.valueType(one))
	}
	if w.Period != "" {
		t.PeriodType = t.valueType(w.Period)
	}
	t.Period, t.TimeNanos, t.DurationNanos = w.Every, at.UnixNano(), int64(w.Duration)
	if w.Mapping != "" {
		t.Mapping = []*googlev1.Mapping{{Id: 1, MemoryStart: 0x400000, MemoryLimit: 0x800000, Filename: t.text(w.Mapping), HasFunctions: true}}
	}
	for _, one := range w.Samples {
		if len(one.Values) != len(w.Types) {
			return nil, fmt.Errorf("a sample has %d values; its profile has %d types", len(one.Values), len(w.Types))
		}
		sample := &googlev1.Sample{Value: one.Values}
		for _, frame := range slices.Backward(one.Stack) { // pprof has the leaf first
			sample.LocationId = append(sample.LocationId, t.location(frame))
		}
		for _, key := range slices.Sorted(maps.Keys(one.Labels)) {
			sample.Label = append(sample.Label, &googlev1.Label{Key: t.text(key), Str: t.text(one.Labels[key])})
		}
		t.Sample = append(t.Sample, sample)
	}
	return t.Profile, nil
}

func (t *table) text(value string) int64 {
	if at, ok := t.strings[value]; ok {
		return at
	}
	at := int64(len(t.StringTable))
	t.strings[value], t.StringTable = at, append(t.StringTable, value)
	return at
}

func (t *table) valueType(text string) *googlev1.ValueType {
	kind, unit, _ := strings.Cut(text, "/")
	return &googlev1.ValueType{Type: t.text(kind), Unit: t.text(unit)}
}

func (t *table) location(frame string) uint64 {
	if id, ok := t.locations[frame]; ok {
		return id
	}
	name, place, _ := strings.Cut(frame, "@")
	file, line := place, int64(0) // 0, as agents without lines send it
	if colon := strings.LastIndex(place, ":"); colon >= 0 {
		file = place[:colon]
		line, _ = strconv.ParseInt(place[colon+1:], 10, 64)
	}
	function, ok := t.functions[name+"@"+file]
	if !ok {
		function = uint64(len(t.Function)) + 1
		t.functions[name+"@"+file] = function
		t.Function = append(t.Function, &googlev1.Function{Id: function, Name: t.text(name), SystemName: t.text(name), Filename: t.text(file)})
	}
	id := uint64(len(t.Location)) + 1
	t.locations[frame] = id
	location := &googlev1.Location{Id: id, Address: 0x400000 + id*16, Line: []*googlev1.Line{{FunctionId: function, Line: line}}}
	if len(t.Mapping) > 0 {
		location.MappingId = 1
	}
	t.Location = append(t.Location, location)
	return id
}
