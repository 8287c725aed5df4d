// Package cpuprofile makes pprof profiles, of samples on the CPU and of time off it.
package cpuprofile

import (
	"cmp"
	"encoding/binary"
	"path"
	"time"

	"github.com/google/pprof/profile"
)

// Image is what a frame's code comes from. Images that are equal are one mapping of the profile.
type Image struct {
	File    string
	BuildID string
	// The part of the file that is mapped. Addresses in the profile are offsets of the file: they are the same wherever
	// and however often the file is loaded.
	From, To uint64
}

// unknownFile is what older kernels tell of files: not their names. Build ids would be others in each build.
const unknownFile = "file without a name"

// Frame is a place in code: with a name where it is known, else by address alone, for the backend's symboliser.
type Frame struct {
	Image    Image
	Address  uint64
	Function string
	File     string
	Line     int64
	Start    int64 // line of the function
}

// Builder gathers one profile.
type Builder struct {
	profile   *profile.Profile
	mappings  map[Image]*profile.Mapping
	functions map[function]*profile.Function
	locations map[Frame]*profile.Location
	samples   map[string]*profile.Sample
	number    uint64
	nameless  map[*profile.Mapping]bool // with frames that a symboliser could name
	byFile    bool
}

type function struct {
	name, file string
	start      int64
}

// New begins one. The sample types are those of Go's own CPU profiles.
func New(baseHz uint32) *Builder {
	b := begin("samples", "count", "cpu", "nanoseconds")
	b.profile.PeriodType = &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
	b.profile.Period = int64(time.Second) / int64(max(baseHz, 1))
	return b
}

// NewOffCPU begins one of blocked time, as Pyroscope names it (off_cpu:off_cpu:nanoseconds::, without a period, in
// pkg/ingester/otlp/convert.go) after the OpenTelemetry eBPF profiler. Parca's is wallclock:nanoseconds.
func NewOffCPU() *Builder { return begin("off_cpu", "nanoseconds") }

func begin(types ...string) *Builder {
	b := &Builder{
		profile: &profile.Profile{}, mappings: map[Image]*profile.Mapping{}, functions: map[function]*profile.Function{},
		locations: map[Frame]*profile.Location{}, samples: map[string]*profile.Sample{}, nameless: map[*profile.Mapping]bool{},
	}
	for i := 0; i < len(types); i += 2 {
		b.profile.SampleType = append(b.profile.SampleType, &profile.ValueType{Type: types[i], Unit: types[i+1]})
	}
	return b
}

// ByFile names frames without a function after their file, for a backend without a symboliser: that shows frames with
// names alone, and neither their callees nor their time. Not after their address, which is another one in each build: to
// the gate all of them would be new. Addresses and build ids stay, so that pprof can still name the functions.
func (b *Builder) ByFile() *Builder {
	b.byFile = true
	return b
}

// Add adds a stack, innermost frame first, that was seen “number“ times and stands for that much time.
func (b *Builder) Add(stack []Frame, number uint64, long time.Duration) {
	var key []byte
	locations := make([]*profile.Location, len(stack))
	for i, frame := range stack {
		locations[i] = b.location(frame)
		key = binary.AppendUvarint(key, locations[i].ID)
	}
	sample, ok := b.samples[string(key)]
	if !ok {
		sample = &profile.Sample{Location: locations, Value: make([]int64, len(b.profile.SampleType))}
		b.samples[string(key)] = sample
		b.profile.Sample = append(b.profile.Sample, sample)
	}
	b.number += number
	if len(sample.Value) > 1 {
		sample.Value[0] += int64(number)
	}
	sample.Value[len(sample.Value)-1] += int64(long)
}

// Number is how many samples were added. A profile of blocked time does not tell.
func (b *Builder) Number() uint64 { return b.number }

// Build ends it. It is valid, or the error says what is not.
func (b *Builder) Build(start time.Time, long time.Duration) (*profile.Profile, error) {
	for mapping := range b.nameless { // what is said to have functions is not looked up
		mapping.HasFunctions = false
	}
	b.profile.TimeNanos, b.profile.DurationNanos = start.UnixNano(), int64(long)
	return b.profile, b.profile.CheckValid()
}

func (b *Builder) location(frame Frame) *profile.Location {
	key := frame
	if found, ok := b.locations[key]; ok {
		return found
	}
	location := &profile.Location{
		ID: uint64(len(b.profile.Location) + 1), Address: frame.Address, Mapping: b.mapping(frame.Image),
	}
	named := frame.Function != ""
	if !named && location.Mapping != nil {
		b.nameless[location.Mapping] = true
		if b.byFile {
			frame.Function = "[" + path.Base(cmp.Or(frame.Image.File, unknownFile)) + "]"
		}
	}
	if frame.Function != "" {
		location.Line = []profile.Line{{Function: b.function(frame), Line: frame.Line}}
		if location.Mapping != nil && named {
			location.Mapping.HasFunctions = true
			location.Mapping.HasFilenames = location.Mapping.HasFilenames || frame.File != ""
			location.Mapping.HasLineNumbers = location.Mapping.HasLineNumbers || frame.Line != 0
		}
	}
	b.locations[key] = location
	b.profile.Location = append(b.profile.Location, location)
	return location
}

func (b *Builder) mapping(image Image) *profile.Mapping {
	if image == (Image{}) {
		return nil
	}
	if found, ok := b.mappings[image]; ok {
		return found
	}
	mapping := &profile.Mapping{
		ID: uint64(len(b.profile.Mapping) + 1), Start: image.From, Limit: image.To, Offset: image.From,
		File: image.File, BuildID: image.BuildID,
	}
	b.mappings[image] = mapping
	b.profile.Mapping = append(b.profile.Mapping, mapping)
	return mapping
}

func (b *Builder) function(frame Frame) *profile.Function {
	key := function{frame.Function, frame.File, frame.Start}
	if found, ok := b.functions[key]; ok {
		return found
	}
	added := &profile.Function{
		ID: uint64(len(b.profile.Function) + 1), Name: frame.Function, SystemName: frame.Function,
		Filename: frame.File, StartLine: frame.Start,
	}
	b.functions[key] = added
	b.profile.Function = append(b.profile.Function, added)
	return added
}
