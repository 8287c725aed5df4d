package door

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// lives is how much memory is in use once something was made, beyond what was before.
func lives(make func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made := make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(made)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// smallest is the shortest value of a field: what makes most of fewest bytes.
func smallest(field protoreflect.FieldDescriptor) []byte {
	number := protowire.Number(field.Number())
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), nil)
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), 1)
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.AppendFixed32(protowire.AppendTag(nil, number, protowire.Fixed32Type), 1)
	}
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 1)
}

// every message that a request can hold, by name.
func inside(of protoreflect.MessageDescriptor, found map[protoreflect.FullName]protoreflect.MessageDescriptor) {
	if found[of.FullName()] != nil {
		return
	}
	found[of.FullName()] = of
	for i := range of.Fields().Len() {
		if message := of.Fields().Get(i).Message(); message != nil {
			inside(message, found)
		}
	}
}

// Each field of each message that anybody can push, over and over: it never becomes more than it was weighed.
func TestNothingBecomesMoreThanItWeighed(t *testing.T) {
	found := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	for _, one := range []proto.Message{&pushv1.PushRequest{}, &profiles.ExportProfilesServiceRequest{}, &querierv1.DiffRequest{}} {
		inside(one.ProtoReflect().Descriptor(), found)
	}
	if len(found) < 20 {
		t.Fatalf("%d messages", len(found))
	}
	for name, message := range found {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			texts := map[string][]byte{"over and over": bytes.Repeat(smallest(field), 5000)}
			if field.IsList() && field.IsPacked() {
				one := bytes.Repeat([]byte{1}, 8*5000)
				packed := protowire.AppendTag(nil, protowire.Number(field.Number()), protowire.BytesType)
				texts["packed"] = protowire.AppendBytes(packed, one)
			}
			for how, text := range texts {
				shape := shapeOf(message)
				for _, one := range shape.fields {
					one.most = unlimited
				}
				weighed, err := shape.weigh(text)
				if err != nil {
					t.Fatal(err)
				}
				live := lives(func() any {
					into := kind.New().Interface()
					if err := proto.Unmarshal(text, into); err != nil {
						t.Fatal(err)
					}
					return into
				})
				if live > weighed+4096 { // what the runtime keeps beside it
					t.Errorf("%s %s: %d bytes became %d, weighed as %d", field.FullName(), how, len(text), live, weighed)
				}
			}
		}
	}
}

func TestJSONBecomesNoMoreThanItWeighed(t *testing.T) {
	for message, text := range map[proto.Message]string{
		&pushv1.PushRequest{}:                      `{"series":[{}` + strings.Repeat(`,{}`, 5000) + `]}`,
		&pushv1.RawProfileSeries{}:                 `{"labels":[{}` + strings.Repeat(`,{"name":"a","value":"b"}`, 5000) + `]}`,
		&querierv1.SelectMergeStacktracesRequest{}: `{"profile_id_selector":[""` + strings.Repeat(`,"\"{"`, 5000) + `]}`,
		&profiles.ExportProfilesServiceRequest{}: `{"dictionary":{"stringTable":[""` + strings.Repeat(`,""`, 5000) +
			`],"locationTable":[{}` + strings.Repeat(`,{"lines":[{}]}`, 5000) + `],"stackTable":[{"locationIndices":[1` + strings.Repeat(`,1`, 5000) + `]}]}}`,
	} {
		weighed, err := shapeOf(message.ProtoReflect().Descriptor()).weighJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		live := lives(func() any {
			into := proto.Clone(message)
			if err := protojson.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
			return into
		})
		if live < int64(len(text))/2 || live > weighed {
			t.Errorf("%T: %d bytes became %d, weighed as %d", message, len(text), live, weighed)
		}
	}
}

func TestWhatIsRefusedOnTheWire(t *testing.T) {
	field := func(number protowire.Number, inside []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), inside)
	}
	deep := []byte(nil)
	for range mostNested {
		deep = field(5, field(1, deep)) // AnyValue.array_value.values
	}
	push, otlp := (&pushv1.PushRequest{}).ProtoReflect().Descriptor(), (&profiles.ExportProfilesServiceRequest{}).ProtoReflect().Descriptor()
	of := func(most int, one []byte) []byte { return bytes.Repeat(one, most) }
	for name, c := range map[string]struct {
		of   protoreflect.MessageDescriptor
		text []byte
		says string
	}{
		"as many series as there may be": {push, of(1000, field(1, nil)), ""},
		"one more":                       {push, of(1001, field(1, nil)), "more than 1000 of push.v1.PushRequest.series"},
		"labels":                         {push, field(1, of(101, field(1, nil))), "more than 100 of push.v1.RawProfileSeries.labels"},
		"samples":                        {push, field(1, of(101, field(2, nil))), "more than 100 of push.v1.RawProfileSeries.samples"},
		"resources":                      {otlp, of(1001, field(1, nil)), "resource_profiles"},
		"attributes":                     {otlp, field(1, field(1, of(101, field(1, nil)))), "Resource.attributes"},
		"a table of nothing":             {otlp, field(2, of(2<<20, field(2, nil))), "more than 128 MB"},
		"nested":                         {otlp, field(1, field(1, field(1, field(2, deep)))), "nested more than 100 times"},
		"no message":                     {push, []byte{0xff}, ""},
		"a series that is cut off":       {push, []byte{0x0a, 0x7f, 0x0a}, ""},
		"a group":                        {push, []byte{0x0b, 0x0c}, ""},
	} {
		_, err := shapeOf(c.of).weigh(c.text)
		if said := fmt.Sprint(err); c.says == "" && err != nil || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The structs are those of the types that Connect makes.
func TestShapesAreOfTheTypes(t *testing.T) {
	size := int64(reflect.TypeFor[pushv1.RawProfileSeries]().Size())
	shape := shapeOf((&pushv1.PushRequest{}).ProtoReflect().Descriptor())
	if got := shape.fields[1].message.size; got < size || got > 2*size {
		t.Errorf("%d bytes, weighed as %d", size, got)
	}
}

// An answer at its worst: as it came, in a buffer of up to twice its size; decoded; encoded anew, packed and held.
func TestWhatAByteCosts(t *testing.T) {
	narrow, whole := &querierv1.FlameGraph{}, &googlev1.Profile{}
	for i := range 50_000 {
		if i%10 == 0 { // ten nodes wide: 16,384 of them would be deeper than Pyroscope keeps stacks (1000)
			narrow.Levels = append(narrow.Levels, &querierv1.Level{Values: slices.Repeat([]int64{1}, 40)})
		}
		id := uint64(i)
		whole.Location = append(whole.Location, &googlev1.Location{Id: id, MappingId: 1, Address: 1 << 30, Line: []*googlev1.Line{{FunctionId: id, Line: 300}}})
		whole.Sample = append(whole.Sample, &googlev1.Sample{LocationId: []uint64{id, 1, 2, 3, 4, 5}, Value: []int64{10_000_000}})
	}
	profile, err := proto.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	levels, err := proto.Marshal(&querierv1.SelectMergeStacktracesResponse{Flamegraph: narrow})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		into proto.Message
	}{
		"long levels":     {wide(t, 200_000), &querierv1.SelectMergeStacktracesResponse{}},
		"short levels":    {levels, &querierv1.SelectMergeStacktracesResponse{}},
		"a whole profile": {profile, &googlev1.Profile{}},
	} {
		decoded := lives(func() any {
			if err := proto.Unmarshal(c.text, c.into); err != nil {
				t.Fatal(err)
			}
			return c.into
		})
		inJSON, err := protojson.Marshal(c.into)
		if err != nil {
			t.Fatal(err)
		}
		size, long := int64(len(c.text)), int64(len(inJSON))
		if decoded < size || 2*size+decoded+3*size > answerWeight*size {
			t.Errorf("%s: %d bytes, decoded %d", name, size, decoded)
		}
		if 2*size+decoded+3*long > jsonWeight*size {
			t.Errorf("%s: %d bytes, decoded %d, in JSON %d", name, size, decoded, long)
		}
		t.Logf("%s: %d bytes; %.1f each once decoded, %.1f in JSON", name, size, float64(decoded)/float64(size), float64(long)/float64(size))
	}
}
