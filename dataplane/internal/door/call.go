package door

import (
	"fmt"
	"slices"
	"time"

	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Kind of a call, by what its answer gives away.
type Kind string

const (
	Names  Kind = "names"  // of labels, their values, profile types
	Totals Kind = "totals" // sums over time, without stacks
	View   Kind = "view"   // a flame graph, to look at
	Export Kind = "export" // a whole profile, to take away
	Push   Kind = "push"
	Own    Kind = "own" // the gateway answers it itself, or it says nothing about any profile
)

// Formats of an answer, as grants and the audit name them.
const (
	flamegraph = "flamegraph"
	tree       = "tree"
	dot        = "dot"
	pprof      = "pprof"
)

// Call is one decoded request, as the decision and the record see it.
type Call struct {
	Kind      Kind
	Selectors []*Selector
	Type      string // profile type id: process_cpu:cpu:nanoseconds:cpu:nanoseconds
	Start     time.Time
	End       time.Time
	Windowed  bool // whether it has to say from when to when
	Format    string
	MaxNodes  int64
	Exemplars bool // ids of single profiles
	Team      string
}

// Services are the names that the call is tied to; nil where any selector leaves more than one open.
func (c *Call) Services() []string {
	var found []string
	for _, selector := range c.Selectors {
		name := selector.Service()
		if name == "" {
			return nil
		}
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// understand takes a message apart, and writes its selectors anew: what is forwarded is what was understood.
func understand(message proto.Message) (*Call, error) {
	if err := known(message.ProtoReflect()); err != nil {
		return nil, err
	}
	switch m := message.(type) {
	case *querierv1.ProfileTypesRequest:
		return windowed(Names, m.Start, m.End), nil
	case *typesv1.LabelNamesRequest:
		return selecting(windowed(Names, m.Start, m.End), m.Matchers)
	case *typesv1.LabelValuesRequest:
		return selecting(windowed(Names, m.Start, m.End), m.Matchers)
	case *querierv1.SeriesRequest:
		return selecting(windowed(Names, m.Start, m.End), m.Matchers)
	case *typesv1.GetProfileStatsRequest:
		return &Call{Kind: Names, Selectors: []*Selector{{}}}, nil // since when a tenant has profiles
	case *querierv1.SelectSeriesRequest:
		call := windowed(Totals, m.Start, m.End)
		call.Type, call.Exemplars = m.ProfileTypeID, exemplars(m.ExemplarType)
		return selected(call, &m.LabelSelector)
	case *querierv1.SelectHeatmapRequest:
		call := windowed(View, m.Start, m.End)
		call.Type, call.Exemplars = m.ProfileTypeID, exemplars(m.ExemplarType)
		return selected(call, &m.LabelSelector)
	case *querierv1.SelectMergeStacktracesRequest:
		return stacktraces(m)
	case *querierv1.SelectMergeSpanProfileRequest:
		call := windowed(View, m.Start, m.End)
		call.Type, call.MaxNodes = m.ProfileTypeID, m.GetMaxNodes()
		if err := formatted(call, m.Format); err != nil {
			return nil, err
		}
		return selected(call, &m.LabelSelector)
	case *querierv1.SelectMergeProfileRequest:
		call := windowed(Export, m.Start, m.End)
		call.Type, call.MaxNodes, call.Format = m.ProfileTypeID, m.GetMaxNodes(), pprof
		return selected(call, &m.LabelSelector)
	case *querierv1.DiffRequest:
		return difference(m)
	case *pushv1.PushRequest:
		return pushed(m)
	case *profiles.ExportProfilesServiceRequest:
		return exported(m)
	}
	return &Call{Kind: Own}, nil
}

func stacktraces(m *querierv1.SelectMergeStacktracesRequest) (*Call, error) {
	call := windowed(View, m.Start, m.End)
	call.Type, call.MaxNodes = m.ProfileTypeID, m.GetMaxNodes()
	if m.Async != nil {
		// Its answer would be stored in the bucket and fetched later, by an id that says nothing of whose it is.
		return nil, invalid("asynchronous queries are not let through; leave `async` out")
	}
	if err := formatted(call, m.Format); err != nil {
		return nil, err
	}
	if len(m.ProfileIdSelector) > 0 {
		call.Kind = Export // of single profiles, as they came
		if call.Format == flamegraph {
			call.Format = tree
		}
	}
	return selected(call, &m.LabelSelector)
}

func difference(m *querierv1.DiffRequest) (*Call, error) {
	left, right := m.GetLeft(), m.GetRight()
	if left == nil || right == nil {
		return nil, invalid("a difference has a left and a right side")
	}
	call := &Call{Kind: View, Format: flamegraph, Windowed: true}
	for _, side := range []*querierv1.SelectMergeStacktracesRequest{left, right} {
		one, err := stacktraces(side)
		if err != nil {
			return nil, err
		}
		if one.Kind != View {
			return nil, invalid("a difference is a flame graph of all profiles: leave format and profile_id_selector out")
		}
		call.Selectors = append(call.Selectors, one.Selectors...)
		call.MaxNodes = max(call.MaxNodes, one.MaxNodes)
	}
	call.Type = left.ProfileTypeID
	if right.ProfileTypeID != left.ProfileTypeID {
		return nil, invalid("both sides of a difference are of one profile type")
	}
	call.Start, call.End = millis(min(left.Start, right.Start)), millis(max(left.End, right.End))
	return call, nil
}

func formatted(call *Call, format querierv1.ProfileFormat) error {
	names := map[querierv1.ProfileFormat]string{
		querierv1.ProfileFormat_PROFILE_FORMAT_UNSPECIFIED: flamegraph,
		querierv1.ProfileFormat_PROFILE_FORMAT_FLAMEGRAPH:  flamegraph,
		querierv1.ProfileFormat_PROFILE_FORMAT_TREE:        tree,
		querierv1.ProfileFormat_PROFILE_FORMAT_DOT:         dot,
		querierv1.ProfileFormat_PROFILE_FORMAT_PPROF:       pprof,
	}
	name, ok := names[format]
	if !ok {
		return invalid("format %d is none that the gateway knows", format)
	}
	call.Format = name
	if name != flamegraph {
		call.Kind = Export
	}
	return nil
}

func windowed(kind Kind, start, end int64) *Call {
	return &Call{Kind: kind, Start: millis(start), End: millis(end), Windowed: true}
}

func millis(value int64) time.Time {
	if value == 0 {
		return time.Time{}
	}
	return time.UnixMilli(value).UTC()
}

func exemplars(kind typesv1.ExemplarType) bool {
	return kind != typesv1.ExemplarType_EXEMPLAR_TYPE_UNSPECIFIED && kind != typesv1.ExemplarType_EXEMPLAR_TYPE_NONE
}

// selected reads the one selector of a query, and writes it anew.
func selected(call *Call, text *string) (*Call, error) {
	selector, err := parseSelector(*text)
	if err != nil {
		return nil, err
	}
	*text = selector.String()
	call.Selectors = []*Selector{selector}
	return call, nil
}

// selecting reads the selectors of a question for names, of which any may match; none at all means all.
func selecting(call *Call, texts []string) (*Call, error) {
	if len(texts) == 0 {
		call.Selectors = []*Selector{{}}
	}
	for i := range texts {
		selector, err := parseSelector(texts[i])
		if err != nil {
			return nil, err
		}
		texts[i] = selector.String()
		call.Selectors = append(call.Selectors, selector)
	}
	return call, nil
}

// known refuses fields that are not in the API the gateway was built for: nobody here has decided what they mean.
func known(message protoreflect.Message) error {
	if len(message.GetUnknown()) > 0 {
		return invalid("%s has fields that the gateway does not know", message.Descriptor().FullName())
	}
	var found error
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() == nil {
				return true
			}
			value.Map().Range(func(_ protoreflect.MapKey, one protoreflect.Value) bool {
				found = known(one.Message())
				return found == nil
			})
		case field.Message() == nil:
		case field.IsList():
			if limit := most[field.FullName()]; limit != unlimited && value.List().Len() > limit {
				found = tooMany(field.FullName(), limit) // of JSON, which is not counted before
			}
			for i := 0; i < value.List().Len() && found == nil; i++ {
				found = known(value.List().Get(i).Message())
			}
		default:
			found = known(value.Message())
		}
		return found == nil
	})
	return found
}

func invalid(format string, values ...any) error {
	return refuse(invalidArgument, "malformed", fmt.Sprintf(format, values...))
}
