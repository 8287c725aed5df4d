package door

import (
	"fmt"
	"net/http"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Two bytes of a message can become a hundred and more once they are decoded: `series {}` eight million times fits into
// 16 MB, and makes more than a gigabyte of objects. So a message is weighed on the wire first, and decoded if it may be.

const (
	mostDecoded = 128 << 20 // bytes that one message may become
	mostNested  = 100       // messages within each other; OTLP has ten
	mapEntry    = 256       // bytes; of an entry of a map, which has no struct
	mostPieces  = 8         // of one list of packed numbers: the decoder copies the whole list for each. Encoders write one
	unlimited   = 0
)

// most is how many of a field one message may have. Agents send one series of one sample (Alloy's pyroscope.ebpf and
// pyroscope.write, our merge job), and Pyroscope takes 30 labels of a series (max_label_names_per_series).
var most = map[protoreflect.FullName]int{
	"push.v1.PushRequest.series":           1000,
	"push.v1.RawProfileSeries.labels":      100,
	"push.v1.RawProfileSeries.samples":     100,
	"push.v1.RawProfileSeries.annotations": 100,
	"opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest.resource_profiles": 1000,
	"opentelemetry.proto.resource.v1.Resource.attributes":                                                 100,
}

// shape is what a message is decoded into.
type shape struct {
	size    int64 // of its struct
	largest int64 // of any struct in it
	fields  map[protowire.Number]*part
}

type part struct {
	name    protoreflect.FullName
	message *shape // nil where it is none
	list    bool
	text    bool  // a string, or bytes
	size    int64 // of an element, beside what it points to
	most    int
}

// shapeOf takes a message's declaration apart.
func shapeOf(of protoreflect.MessageDescriptor) *shape {
	known := map[protoreflect.FullName]*shape{}
	found := shapeIn(of, known)
	for _, one := range known {
		found.largest = max(found.largest, one.size)
	}
	return found
}

func shapeIn(of protoreflect.MessageDescriptor, known map[protoreflect.FullName]*shape) *shape {
	if found := known[of.FullName()]; found != nil {
		return found
	}
	found := &shape{size: structSize(of), fields: map[protowire.Number]*part{}}
	known[of.FullName()] = found
	for i := range of.Fields().Len() {
		field := of.Fields().Get(i)
		one := &part{name: field.FullName(), list: field.IsList() || field.IsMap(), most: most[field.FullName()]}
		switch field.Kind() {
		case protoreflect.MessageKind, protoreflect.GroupKind:
			one.message, one.size = shapeIn(field.Message(), known), 8
		case protoreflect.StringKind:
			one.text, one.size = true, 16
		case protoreflect.BytesKind:
			one.text, one.size = true, 24
		default:
			one.size = 8
		}
		found.fields[protowire.Number(field.Number())] = one
	}
	return found
}

// structSize is that of the Go type, and what the allocator rounds it up by at most.
func structSize(of protoreflect.MessageDescriptor) int64 {
	if of.IsMapEntry() {
		return mapEntry
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName())
	if err != nil {
		panic(fmt.Sprintf("%s is linked in, and not registered: %v", of.FullName(), err))
	}
	size := int64(reflect.TypeOf(kind.Zero().Interface()).Elem().Size())
	return size + size/4 + 8
}

// weigh is how many bytes a message becomes at most. What is no message any more weighs nothing: the decoder stops
// there too.
func (s *shape) weigh(text []byte) (int64, error) {
	scale := &scale{}
	err := scale.add(s, text, 1)
	return scale.bytes, err
}

type scale struct{ bytes int64 }

func (s *scale) put(bytes int64) error {
	s.bytes += bytes
	if s.bytes > mostDecoded {
		return tooHeavy()
	}
	return nil
}

func (s *scale) add(of *shape, text []byte, depth int) error {
	if depth > mostNested {
		return invalid("its messages are nested more than %d times", mostNested)
	}
	if err := s.put(of.size); err != nil {
		return err
	}
	var counts map[*part]int
	for len(text) > 0 {
		number, kind, tag := protowire.ConsumeTag(text)
		if tag < 0 {
			return nil
		}
		length := protowire.ConsumeFieldValue(number, kind, text[tag:])
		if length < 0 {
			return nil
		}
		value := text[tag : tag+length]
		text = text[tag+length:]
		one := of.fields[number]
		if one == nil || one.message != nil && kind != protowire.BytesType {
			if err := s.put(3 * int64(tag+length)); err != nil { // kept as it is, in a slice that grows
				return err
			}
			continue
		}
		limit := one.most
		if kind == protowire.BytesType && one.list && one.message == nil && !one.text {
			limit = mostPieces
		}
		if limit != unlimited {
			if counts == nil {
				counts = map[*part]int{}
			}
			if counts[one]++; counts[one] > limit {
				return tooMany(one.name, limit)
			}
		}
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		if err := s.field(one, kind, value, depth); err != nil {
			return err
		}
	}
	return nil
}

// field is one value. A slice that grows holds up to twice what is in it, and the one before meanwhile.
func (s *scale) field(one *part, kind protowire.Type, value []byte, depth int) error {
	each := one.size
	if one.list {
		each *= 3
	}
	switch {
	case one.message != nil:
		if err := s.put(each); err != nil {
			return err
		}
		return s.add(one.message, value, depth+1)
	case one.text:
		return s.put(each + int64(len(value)) + int64(len(value))/4 + 16)
	case kind == protowire.BytesType: // packed numbers: fixed ones, or as many as bytes that end one
		return s.put(max(each*int64(ends(value)), each/one.size*int64(len(value))))
	}
	return s.put(each + 16)
}

func ends(packed []byte) int {
	count := 0
	for _, one := range packed {
		if one < 0x80 {
			count++
		}
	}
	return count
}

// weighJSON is how many bytes a message becomes at most: each message in it begins with a brace, and each other value
// follows a comma, a colon or a bracket.
func (s *shape) weighJSON(text []byte) (int64, error) {
	total, quoted, escaped := 2*int64(len(text)), false, false
	for _, sign := range text {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = sign == '\\', sign != '"'
		case sign == '"':
			quoted = true
		case sign == '{':
			total += s.largest + 24
		case sign == ',' || sign == ':' || sign == '[':
			total += 48
		}
		if total > mostDecoded {
			return total, tooHeavy()
		}
	}
	return total, nil
}

func tooHeavy() error {
	return &refusal{code: tooMuch, rule: "body", status: http.StatusRequestEntityTooLarge,
		reason: fmt.Sprintf("the body takes more than %d MB once it is decoded; send less at once", mostDecoded>>20)}
}

func tooMany(name protoreflect.FullName, most int) error {
	return invalid("the body has more than %d of %s; send less at once", most, name)
}
