// Package cpuprofile makes a pprof profile of on-CPU samples.
package cpuprofile

import (
	"encoding/binary"
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
}

type function struct {
	name, file string
	start      int64
}

// New begins one. The sample types are those of Go's own CPU profiles.
func New(baseHz uint32) *Builder {
	return &Builder{
		profile: &profile.Profile{
			SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
			PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"},
			Period:     int64(time.Second) / int64(max(baseHz, 1)),
		},
		mappings: map[Image]*profile.Mapping{}, functions: map[function]*profile.Function{},
		locations: map[Frame]*profile.Location{}, samples: map[string]*profile.Sample{},
	}
}

// Add adds a stack, innermost frame first, that was seen “number“ times and stands for that much CPU time.
func (b *Builder) Add(stack []Frame, number uint64, cpu time.Duration) {
	var key []byte
	locations := make([]*profile.Location, len(stack))
	for i, frame := range stack {
		locations[i] = b.location(frame)
		key = binary.AppendUvarint(key, locations[i].ID)
	}
	sample, ok := b.samples[string(key)]
	if !ok {
		sample = &profile.Sample{Location: locations, Value: []int64{0, 0}}
		b.samples[string(key)] = sample
		b.profile.Sample = append(b.profile.Sample, sample)
	}
	sample.Value[0] += int64(number)
	sample.Value[1] += int64(cpu)
}

// Build ends it. It is valid, or the error says what is not.
func (b *Builder) Build(start time.Time, long time.Duration) (*profile.Profile, error) {
	b.profile.TimeNanos, b.profile.DurationNanos = start.UnixNano(), int64(long)
	return b.profile, b.profile.CheckValid()
}

func (b *Builder) location(frame Frame) *profile.Location {
	if found, ok := b.locations[frame]; ok {
		return found
	}
	location := &profile.Location{
		ID: uint64(len(b.profile.Location) + 1), Address: frame.Address, Mapping: b.mapping(frame.Image),
	}
	if frame.Function != "" {
		location.Line = []profile.Line{{Function: b.function(frame), Line: frame.Line}}
		if location.Mapping != nil {
			location.Mapping.HasFunctions = true
			location.Mapping.HasFilenames = location.Mapping.HasFilenames || frame.File != ""
			location.Mapping.HasLineNumbers = location.Mapping.HasLineNumbers || frame.Line != 0
		}
	}
	b.locations[frame] = location
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
