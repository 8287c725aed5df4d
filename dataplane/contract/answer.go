package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Procedures are found by name; these have them.
	_ "github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1"
	_ "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	_ "github.com/grafana/pyroscope/api/gen/proto/go/version/v1"
	_ "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
)

// Answer is what a server answered, without anything that differs from one play to the next.
type Answer struct {
	Status  int    `json:"status,omitempty"`  // of HTTP; Connect in protobuf and gRPC have the code alone
	Code    string `json:"code,omitempty"`    // of Connect
	Message string `json:"message,omitempty"` // where a case says that it counts
	Body    any    `json:"body,omitempty"`
}

// method is a procedure and the types of its messages.
type method struct{ input, output protoreflect.MessageType }

func methodOf(call string) (*method, error) {
	service, name, _ := strings.Cut(call, "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("there is no service %s: %w", service, err)
	}
	one := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if one == nil {
		return nil, fmt.Errorf("%s has no procedure %s", service, name)
	}
	input, err := protoregistry.GlobalTypes.FindMessageByName(one.Input().FullName())
	if err != nil {
		return nil, err
	}
	output, err := protoregistry.GlobalTypes.FindMessageByName(one.Output().FullName())
	return &method{input, output}, err
}

// unknownField is a number that no message of the API has.
const unknownField = 15000

func (m *method) wire(text []byte, extra bool) ([]byte, error) {
	message := m.input.New().Interface()
	if err := protojson.Unmarshal(text, message); err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(message)
	if extra {
		raw = protowire.AppendVarint(protowire.AppendTag(raw, unknownField, protowire.VarintType), 1)
	}
	return raw, err
}

// answered reads an answer in JSON to a call.
func (p *Play) answered(method *method, status int, text []byte) (Answer, error) {
	if status != http.StatusOK {
		return refusal(status, text), nil
	}
	message := method.output.New().Interface()
	if err := protojson.Unmarshal(text, message); err != nil {
		return Answer{}, fmt.Errorf("the answer is no %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	body, err := p.normal(message)
	return Answer{Status: status, Body: body}, err
}

// read reads an answer in protobuf to a call.
func (p *Play) read(method *method, raw []byte) (Answer, error) {
	message := method.output.New().Interface()
	if err := proto.Unmarshal(raw, message); err != nil {
		return Answer{}, err
	}
	body, err := p.normal(message)
	return Answer{Body: body}, err
}

func refusal(status int, text []byte) Answer {
	var said struct{ Code, Message string }
	if err := json.Unmarshal(text, &said); err != nil || said.Code == "" {
		said.Message = strings.TrimSpace(string(text))
	}
	return Answer{Status: status, Code: said.Code, Message: said.Message}
}

// text reads an answer of a path that is no procedure.
func (p *Play) text(status int, kind string, text []byte) (Answer, error) {
	if status >= http.StatusBadRequest {
		return refusal(status, text), nil
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return Answer{Status: status}, nil
	}
	if !strings.HasPrefix(kind, "application/json") && !json.Valid(text) {
		return Answer{Status: status, Body: dotted(string(text))}, nil
	}
	body, err := decoded(text)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: status, Body: short(p.offsets(rendered(body)))}, nil
}

// normal writes a message so that equal answers are equal texts, and so that people can read it.
func (p *Play) normal(message proto.Message) (any, error) {
	switch m := message.(type) {
	case *googlev1.Profile:
		return p.pprof(m), nil
	case *querierv1.DiffResponse:
		return graph(m.GetFlamegraph().GetNames(), m.GetFlamegraph().GetLevels(), diffInts, map[string]any{
			"total": m.GetFlamegraph().GetTotal(), "maxSelf": m.GetFlamegraph().GetMaxSelf(),
			"leftTicks": m.GetFlamegraph().GetLeftTicks(), "rightTicks": m.GetFlamegraph().GetRightTicks(),
		})
	case *querierv1.SelectMergeStacktracesResponse:
		return p.merged(m.GetFlamegraph(), m.GetTree(), m.GetDot(), m.GetPprof().GetProfile())
	case *querierv1.SelectMergeSpanProfileResponse:
		return p.merged(m.GetFlamegraph(), m.GetTree(), "", nil)
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	body, err := decoded(text)
	if err != nil {
		return nil, err
	}
	if found, ok := body.(map[string]any); ok && len(found) == 0 {
		return nil, nil
	}
	body = short(p.offsets(body))
	switch message.(type) {
	case *querierv1.SelectHeatmapResponse:
		sorted(body, "labels", "exemplars", "series") // from within
	case *querierv1.SelectSeriesResponse:
		each(body, "exemplars", func(one any) { sorted(one, "labels") }) // of series they are in the order of groupBy
	}
	return body, nil
}

// each does it with every field of this name.
func each(value any, field string, do func(any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, one := range v {
			if key == field {
				do(one)
			}
			each(one, field, do)
		}
	case []any:
		for _, one := range v {
			each(one, field, do)
		}
	}
}

// sorted sorts the lists of these fields, wherever they are: those that Pyroscope takes out of a map of Go or leaves as
// they were stored.
func sorted(value any, fields ...string) {
	for _, field := range fields {
		each(value, field, func(one any) {
			list, _ := one.([]any)
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(said(a), said(b)) })
		})
	}
}

func (p *Play) merged(flame *querierv1.FlameGraph, tree []byte, dot string, whole *googlev1.Profile) (any, error) {
	out := map[string]any{}
	if flame != nil {
		drawn, err := graph(flame.Names, flame.Levels, flameInts, map[string]any{"total": flame.Total, "maxSelf": flame.MaxSelf})
		if err != nil {
			return nil, err
		}
		out["flamegraph"] = drawn
	}
	if len(tree) > 0 {
		paths, err := treePaths(tree)
		if err != nil {
			return nil, err
		}
		out["tree"] = paths
	}
	if dot != "" {
		out["dot"] = dotted(dot)
	}
	if whole != nil {
		out["pprof"] = p.pprof(whole)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// decoded is any JSON, with numbers as they are written.
func decoded(text []byte) (any, error) {
	var out any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&out)
	return out, err
}

// short writes labels, points and lists of numbers, which answers have by the hundred, in a line each. Ids of single
// profiles are random.
func short(value any) any {
	switch v := value.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		name, named := v["name"].(string)
		at, placed := v["timestamp"].(string)
		switch {
		case named && slices.Equal(keys, []string{"name", "value"}):
			return fmt.Sprintf("%s=%v", name, v["value"])
		case placed && slices.Equal(keys, []string{"timestamp", "value"}):
			return fmt.Sprintf("%s %v", at, v["value"])
		case placed && len(keys) == 1: // 0 is not written
			return at + " 0"
		}
		for _, key := range keys {
			v[key] = short(v[key])
			if key == "profileId" {
				v[key] = "(random)"
			}
		}
	case []any:
		if line := numbers(v); line != "" {
			return line
		}
		for i := range v {
			v[i] = short(v[i])
		}
	}
	return value
}

func numbers(list []any) string {
	texts := make([]string, len(list))
	for i, one := range list {
		number, ok := one.(json.Number)
		if !ok {
			return ""
		}
		texts[i] = number.String()
	}
	return strings.Join(texts, " ")
}
