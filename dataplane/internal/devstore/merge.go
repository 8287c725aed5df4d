package devstore

import (
	"encoding/binary"
	"slices"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// merger adds up profiles as they are read. It holds every stack once, however many profiles there are: the merge of
// github.com/google/pprof wants all of them at once.
type merger struct {
	made      *googlev1.Profile
	strings   map[string]int64
	functions map[functionKey]uint64
	mappings  map[mappingKey]uint64
	locations map[string]uint64
	samples   map[string]*googlev1.Sample
	key       []byte
}

type functionKey struct{ name, system, file, line int64 }

type mappingKey struct {
	start, limit, offset uint64
	file, build          int64
	functions            bool
}

func newMerger() *merger {
	return &merger{
		made: &googlev1.Profile{StringTable: []string{""}}, strings: map[string]int64{"": 0},
		functions: map[functionKey]uint64{}, mappings: map[mappingKey]uint64{},
		locations: map[string]uint64{}, samples: map[string]*googlev1.Sample{},
	}
}

// add adds one column of a profile. A stored profile numbers what it consists of from 1 on, without gaps.
func (m *merger) add(read *googlev1.Profile, number int) {
	known := make([]uint64, len(read.Location)+1)
	for _, sample := range read.Sample {
		value := sample.Value[number]
		if value <= 0 || len(sample.LocationId) == 0 {
			continue
		}
		stack := make([]uint64, len(sample.LocationId))
		for i, id := range sample.LocationId {
			if known[id] == 0 {
				known[id] = m.location(read, read.Location[id-1])
			}
			stack[i] = known[id]
		}
		m.sample(stack, value)
	}
}

func (m *merger) sample(stack []uint64, value int64) {
	m.key = m.key[:0]
	for _, id := range stack {
		m.key = binary.AppendUvarint(m.key, id)
	}
	if found := m.samples[string(m.key)]; found != nil {
		found.Value[0] += value
		return
	}
	made := &googlev1.Sample{LocationId: stack, Value: []int64{value}}
	m.samples[string(m.key)] = made
	m.made.Sample = append(m.made.Sample, made)
}

func (m *merger) text(text string) int64 {
	found, ok := m.strings[text]
	if !ok {
		found = int64(len(m.made.StringTable))
		m.strings[text] = found
		m.made.StringTable = append(m.made.StringTable, text)
	}
	return found
}

func (m *merger) location(read *googlev1.Profile, one *googlev1.Location) uint64 {
	made := &googlev1.Location{Address: one.Address, IsFolded: one.IsFolded}
	if one.MappingId != 0 {
		made.MappingId = m.mapping(read, read.Mapping[one.MappingId-1])
	}
	key := binary.AppendUvarint(binary.AppendUvarint(nil, made.MappingId), made.Address)
	for _, line := range one.Line {
		function := m.function(read, read.Function[line.FunctionId-1])
		made.Line = append(made.Line, &googlev1.Line{FunctionId: function, Line: line.Line})
		key = binary.AppendVarint(binary.AppendUvarint(key, function), line.Line)
	}
	return number(m.locations, string(key), func(id uint64) {
		made.Id = id
		m.made.Location = append(m.made.Location, made)
	})
}

func (m *merger) mapping(read *googlev1.Profile, one *googlev1.Mapping) uint64 {
	file, build := m.text(read.StringTable[one.Filename]), m.text(read.StringTable[one.BuildId])
	key := mappingKey{one.MemoryStart, one.MemoryLimit, one.FileOffset, file, build, one.HasFunctions}
	return number(m.mappings, key, func(id uint64) {
		m.made.Mapping = append(m.made.Mapping, &googlev1.Mapping{
			Id: id, MemoryStart: one.MemoryStart, MemoryLimit: one.MemoryLimit, FileOffset: one.FileOffset,
			Filename: file, BuildId: build, HasFunctions: one.HasFunctions, HasFilenames: one.HasFilenames,
			HasLineNumbers: one.HasLineNumbers, HasInlineFrames: one.HasInlineFrames,
		})
	})
}

func (m *merger) function(read *googlev1.Profile, one *googlev1.Function) uint64 {
	key := functionKey{
		m.text(read.StringTable[one.Name]), m.text(read.StringTable[one.SystemName]), m.text(read.StringTable[one.Filename]), one.StartLine,
	}
	return number(m.functions, key, func(id uint64) {
		m.made.Function = append(m.made.Function, &googlev1.Function{
			Id: id, Name: key.name, SystemName: key.system, Filename: key.file, StartLine: key.line,
		})
	})
}

// number gives each new key the next number.
func number[K comparable](known map[K]uint64, key K, made func(id uint64)) uint64 {
	if found, ok := known[key]; ok {
		return found
	}
	id := uint64(len(known) + 1)
	known[key] = id
	made(id)
	return id
}

// profile is what was added up, with at most so many nodes (0: all) and described as Pyroscope describes it
// (`pkg/pprof`, SetProfileMetadata). Of nothing it is empty.
func (m *merger) profile(kind *typesv1.ProfileType, nanos, most int64) *googlev1.Profile {
	if len(m.made.Sample) == 0 {
		return &googlev1.Profile{}
	}
	if most > 0 {
		m.prune(most)
	}
	one := m.made
	one.SampleType = []*googlev1.ValueType{{Type: m.text(kind.SampleType), Unit: m.text(kind.SampleUnit)}}
	one.PeriodType = &googlev1.ValueType{Type: m.text(kind.PeriodType), Unit: m.text(kind.PeriodUnit)}
	one.DefaultSampleType, one.TimeNanos = one.SampleType[0].Type, nanos
	switch kind.Name {
	case "process_cpu":
		one.Period = 1_000_000_000
	case "memory":
		one.Period = 512 << 10
	default:
		one.Period = 1
	}
	return one
}

// prune cuts stacks below where they become small, and puts a location named other in place of what is cut. As in
// Pyroscope, the first location that is too small stays (`pkg/phlaredb/symdb/resolver_pprof_tree.go`).
func (m *merger) prune(most int64) {
	whole := &tree{}
	whole.addProfile(m.made, 0)
	least := whole.least(most)
	if least == 0 {
		return
	}
	function := number(m.functions, functionKey{name: m.text(other), system: m.text(other)}, func(id uint64) {
		m.made.Function = append(m.made.Function, &googlev1.Function{Id: id, Name: m.text(other), SystemName: m.text(other)})
	})
	stub := uint64(len(m.made.Location) + 1)
	m.made.Location = append(m.made.Location, &googlev1.Location{Id: stub, Line: []*googlev1.Line{{FunctionId: function}}})
	samples := m.made.Sample
	m.made.Sample, m.samples = nil, map[string]*googlev1.Sample{}
	for _, sample := range samples {
		m.sample(m.cut(&whole.node, sample.LocationId, least, stub), sample.Value[0])
	}
}

func (m *merger) cut(at *node, stack []uint64, least int64, stub uint64) []uint64 {
	for i, id := range slices.Backward(stack) {
		for _, line := range slices.Backward(m.made.Location[id-1].Line) {
			at = at.child(m.made.StringTable[m.made.Function[line.FunctionId-1].Name])
			switch {
			case at.total >= least:
			case i == len(stack)-1:
				return []uint64{stub}
			case i > 0:
				return append([]uint64{stub}, stack[i:]...)
			}
		}
	}
	return stack
}
