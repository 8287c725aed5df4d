package devstore

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
	otlp "go.opentelemetry.io/proto/otlp/profiles/v1development"
)

// converted is an OTLP profile as pprof, with its name.
type converted struct {
	name    string
	profile *profile.Profile
	size    int // as pprof, which Pyroscope holds against its limits too
}

// fromOTLP makes a pprof of each service that has samples in a profile; most have one, which stands with the resource,
// named "" here (`pkg/ingester/otlp/convert.go`). A few bytes of a sample refer to a stack of any size, so what may be
// made of a request is bounded while it is made.
func fromOTLP(one *otlp.Profile, dictionary *otlp.ProfilesDictionary, limits *Limits, left *int) (map[string]*converted, error) {
	services := map[string]*otlpReader{}
	for _, sample := range one.GetSamples() {
		labels, err := (&otlpReader{from: dictionary}).labels(sample)
		if err != nil {
			return nil, err
		}
		service := ""
		if values := labels[otelService]; len(values) > 0 {
			service = values[0]
			delete(labels, otelService)
		}
		reader := services[service]
		if reader == nil {
			if reader, err = newOTLPReader(one, dictionary, limits, left); err != nil {
				return nil, err
			}
			services[service] = reader
		}
		if most := limits.MaxProfileSamples; most > 0 && len(reader.made.Sample) == most {
			return nil, fmt.Errorf("a service has more than %d samples (max_profile_stacktrace_samples)", most)
		}
		if err := reader.add(sample, labels); err != nil {
			return nil, err
		}
	}
	found := map[string]*converted{}
	for service, reader := range services {
		if err := reader.made.CheckValid(); err != nil {
			return nil, err
		}
		size, err := sizeOf(reader.made)
		if err != nil {
			return nil, err
		}
		found[service] = &converted{reader.name, reader.made, size}
	}
	return found, nil
}

// otlpReader follows the indices of a profile, all of which are a stranger's, into its dictionary.
type otlpReader struct {
	from      *otlp.ProfilesDictionary
	made      *profile.Profile
	name      string
	times     int64 // what a value is multiplied by
	summed    bool  // several values of a sample are one
	depth     int   // of a stack, 0 is any
	left      *int  // frames and locations that the request may still make
	stacks    map[int32][]*profile.Location
	mappings  map[int32]*profile.Mapping
	locations map[int32]*profile.Location
	functions map[int32]*profile.Function
}

func at[T any](table []T, index int32, what string) (one T, err error) {
	if index < 0 || int(index) >= len(table) {
		return one, fmt.Errorf("%s %d is not in the dictionary", what, index)
	}
	return table[index], nil
}

// mostOTLP is what one request may make: tens of times what the eBPF profiler of a large node sends. Pyroscope bounds the
// bytes alone (256 MiB, `-distributor.ingestion-body-limit-mb`; over gRPC 100 MiB, `pkg/pyroscope/pyroscope.go`), of which a
// few can stand for any number of frames.
const mostOTLP = 1 << 20

func (r *otlpReader) spend(count int) error {
	if *r.left -= count; *r.left < 0 {
		return fmt.Errorf("the request has more than %d frames of stacks", mostOTLP)
	}
	return nil
}

func newOTLPReader(one *otlp.Profile, from *otlp.ProfilesDictionary, limits *Limits, left *int) (*otlpReader, error) {
	r := &otlpReader{
		from: from, times: 1, depth: limits.MaxProfileDepth, left: left,
		stacks: map[int32][]*profile.Location{}, mappings: map[int32]*profile.Mapping{},
		locations: map[int32]*profile.Location{}, functions: map[int32]*profile.Function{},
		made: &profile.Profile{TimeNanos: int64(one.TimeUnixNano), DurationNanos: int64(one.DurationNano), Period: one.Period},
	}
	if one.SampleType == nil {
		return nil, fmt.Errorf("sample type is missing")
	}
	kind, err := r.valueType(one.SampleType)
	if err != nil {
		return nil, err
	}
	r.made.SampleType = []*profile.ValueType{kind}
	period := &profile.ValueType{}
	if one.PeriodType != nil {
		if r.made.PeriodType, err = r.valueType(one.PeriodType); err != nil {
			return nil, err
		}
		if one.Period != 0 {
			period = r.made.PeriodType
		}
	}
	switch (profile.ValueType{Type: kind.Type + "/" + period.Type, Unit: kind.Unit + "/" + period.Unit}) {
	case profile.ValueType{Type: "samples/cpu", Unit: "count/nanoseconds"}: // as the eBPF profiler counts
		*kind = profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
		r.name, r.times = "process_cpu", one.Period
	case profile.ValueType{Type: "off_cpu/", Unit: "nanoseconds/"}:
		r.name, r.summed = "off_cpu", true
	default:
		r.name = period.Type
	}
	return r, nil
}

func (r *otlpReader) valueType(one *otlp.ValueType) (*profile.ValueType, error) {
	kind, err := at(r.from.StringTable, one.TypeStrindex, "string")
	if err != nil {
		return nil, err
	}
	unit, err := at(r.from.StringTable, one.UnitStrindex, "string")
	return &profile.ValueType{Type: kind, Unit: unit}, err
}

func (r *otlpReader) add(sample *otlp.Sample, labels map[string][]string) error {
	values := slices.Clone(sample.Values)
	if len(values) == 0 && len(sample.TimestampsUnixNano) > 0 {
		values = []int64{int64(len(sample.TimestampsUnixNano))} // each time is one
	}
	if r.summed {
		var sum int64
		for _, value := range values {
			sum += value
		}
		values = []int64{sum}
	}
	if len(values) != 1 {
		return fmt.Errorf("a sample has %d values and one type", len(values))
	}
	made := &profile.Sample{Value: []int64{values[0] * r.times}, Label: labels}
	var err error
	if made.Location, err = r.stack(sample.StackIndex); err != nil {
		return err
	}
	r.made.Sample = append(r.made.Sample, made)
	return nil
}

// stack is made once, and shared by all samples that refer to it.
func (r *otlpReader) stack(index int32) ([]*profile.Location, error) {
	if made, ok := r.stacks[index]; ok {
		return made, nil
	}
	one, err := at(r.from.StackTable, index, "stack")
	if err != nil {
		return nil, err
	}
	indices := one.GetLocationIndices()
	if r.depth > 0 && len(indices) > r.depth {
		indices = indices[len(indices)-r.depth:] // the leaf is first, and goes, as in check
	}
	if err := r.spend(len(indices)); err != nil {
		return nil, err
	}
	var made []*profile.Location
	for _, index := range indices {
		location, err := r.location(index)
		if err != nil {
			return nil, err
		}
		made = append(made, location)
	}
	r.stacks[index] = made
	return made, nil
}

// labels are a sample's attributes, and the span it was taken in.
func (r *otlpReader) labels(sample *otlp.Sample) (map[string][]string, error) {
	labels := map[string][]string{}
	for _, index := range sample.AttributeIndices {
		attribute, err := at(r.from.AttributeTable, index, "attribute")
		if err != nil {
			return nil, err
		}
		key, err := at(r.from.StringTable, attribute.GetKeyStrindex(), "string")
		if err != nil {
			return nil, err
		}
		if value := text(attribute.GetValue()); value != "" {
			labels[key] = []string{value}
		}
	}
	if sample.LinkIndex != 0 {
		link, err := at(r.from.LinkTable, sample.LinkIndex, "link")
		if err != nil {
			return nil, err
		}
		labels[spanLabel] = []string{hex.EncodeToString(link.GetSpanId())}
		labels[traceLabel] = []string{hex.EncodeToString(link.GetTraceId())}
	}
	return labels, nil
}

func (r *otlpReader) location(index int32) (*profile.Location, error) {
	if made := r.locations[index]; made != nil {
		return made, nil
	}
	one, err := at(r.from.LocationTable, index, "location")
	if err != nil {
		return nil, err
	}
	mapping, err := r.mapping(one.GetMappingIndex())
	if err != nil {
		return nil, err
	}
	if err := r.spend(1 + len(one.GetLines())); err != nil {
		return nil, err
	}
	made := &profile.Location{ID: uint64(len(r.made.Location) + 1), Mapping: mapping, Address: one.GetAddress()}
	for _, line := range one.GetLines() {
		function, err := r.function(line.GetFunctionIndex())
		if err != nil {
			return nil, err
		}
		made.Line = append(made.Line, profile.Line{Function: function, Line: line.GetLine()})
	}
	if len(made.Line) == 0 {
		mapping.HasFunctions = false // its addresses are all there is
	}
	r.locations[index] = made
	r.made.Location = append(r.made.Location, made)
	return made, nil
}

func (r *otlpReader) mapping(index int32) (*profile.Mapping, error) {
	if made := r.mappings[index]; made != nil {
		return made, nil
	}
	one, err := at(r.from.MappingTable, index, "mapping")
	if err != nil {
		return nil, err
	}
	file, err := at(r.from.StringTable, one.GetFilenameStrindex(), "string")
	if err != nil {
		return nil, err
	}
	made := &profile.Mapping{
		ID: uint64(len(r.made.Mapping) + 1), Start: one.GetMemoryStart(), Limit: one.GetMemoryLimit(),
		Offset: one.GetFileOffset(), File: file, HasFunctions: true,
	}
	for _, index := range one.GetAttributeIndices() {
		attribute, err := at(r.from.AttributeTable, index, "attribute")
		if err != nil {
			return nil, err
		}
		if key, err := at(r.from.StringTable, attribute.GetKeyStrindex(), "string"); err == nil && key == "process.executable.build_id.gnu" {
			made.BuildID = text(attribute.GetValue())
		}
	}
	r.mappings[index] = made
	r.made.Mapping = append(r.made.Mapping, made)
	return made, nil
}

func (r *otlpReader) function(index int32) (*profile.Function, error) {
	if made := r.functions[index]; made != nil {
		return made, nil
	}
	one, err := at(r.from.FunctionTable, index, "function")
	if err != nil {
		return nil, err
	}
	made := &profile.Function{ID: uint64(len(r.made.Function) + 1), StartLine: one.GetStartLine()}
	for into, index := range map[*string]int32{
		&made.Name: one.GetNameStrindex(), &made.SystemName: one.GetSystemNameStrindex(), &made.Filename: one.GetFilenameStrindex(),
	} {
		if *into, err = at(r.from.StringTable, index, "string"); err != nil {
			return nil, err
		}
	}
	r.functions[index] = made
	r.made.Function = append(r.made.Function, made)
	return made, nil
}
