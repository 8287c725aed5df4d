package devstore

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/klauspost/compress/gzip"
	collector "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	otelService    = "service.name"
	otelExecutable = "process.executable.name"
)

// postOTLP serves POST /v1development/profiles, in protobuf or JSON.
func (s *Store) postOTLP(w http.ResponseWriter, r *http.Request) (int, error) {
	body, err := s.unpacked(r)
	if err != nil {
		return status(err, http.StatusBadRequest), err
	}
	message := &collector.ExportProfilesServiceRequest{}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/json":
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, message)
	case "application/x-protobuf", "application/protobuf":
		err = proto.Unmarshal(body, message)
	default:
		return http.StatusUnsupportedMediaType, invalid("Content-Type is %q; valid: application/x-protobuf, application/json", kind)
	}
	if err != nil {
		return http.StatusBadRequest, invalid("the body is no request of OTLP profiles: %v", err)
	}
	all, err := s.converted(message, s.limits.of(tenantOf(r.Context())))
	if err != nil {
		return http.StatusInternalServerError, err // as Pyroscope
	}
	if err := s.write(r.Context(), "otlp", all, nil); err != nil {
		return status(err, http.StatusBadRequest), err
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // of an answer that has no bytes
	return http.StatusOK, nil
}

func (s *Store) unpacked(r *http.Request) ([]byte, error) {
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return readAll(r)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, invalid("the body is not compressed as it says")
	}
	most := int64(s.options.BodyMegabytes) << 20
	body, err := io.ReadAll(io.LimitReader(unzipped, most+1))
	switch {
	case int64(len(body)) > most:
		return nil, &http.MaxBytesError{Limit: most}
	case err != nil && !errors.As(err, new(*http.MaxBytesError)):
		return nil, invalid("the body is not compressed as it says")
	}
	return body, err
}

// exportOTLP serves the same over gRPC.
func (s *Store) exportOTLP(
	ctx context.Context, request *connect.Request[collector.ExportProfilesServiceRequest],
) (*connect.Response[collector.ExportProfilesServiceResponse], error) {
	all, err := s.converted(request.Msg, s.limits.of(tenantOf(ctx)))
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, "otlp", all, nil); err != nil {
		return nil, err
	}
	return connect.NewResponse(&collector.ExportProfilesServiceResponse{}), nil
}

func (s *Store) converted(message *collector.ExportProfilesServiceRequest, limits *Limits) ([]pushed, error) {
	if message.Dictionary == nil {
		return nil, invalid("missing profile metadata dictionary")
	}
	if message.ResourceProfiles == nil {
		return nil, invalid("missing resource profiles")
	}
	var all []pushed
	left := mostOTLP
	for _, resource := range message.ResourceProfiles {
		attributes := resource.GetResource().GetAttributes()
		for _, scope := range resource.GetScopeProfiles() {
			for _, one := range scope.GetProfiles() {
				found, err := fromOTLP(one, message.Dictionary, limits, &left)
				if err != nil {
					s.metrics.discarded.WithLabelValues("malformed").Inc()
					return nil, invalid("failed to convert otel profile: %v", err)
				}
				for service, each := range found {
					if service == "" {
						service = serviceOf(attributes)
					}
					labels := otlpLabels(each.name, service, attributes, scope.GetScope().GetAttributes())
					all = append(all, pushed{labels, each.profile, each.size})
				}
			}
		}
	}
	return all, nil
}

// otlpLabels are the attributes of a resource, then of its scope; the first of a name counts.
func otlpLabels(name, service string, attributes ...[]*common.KeyValue) []*typesv1.LabelPair {
	pairs := []*typesv1.LabelPair{
		{Name: nameLabel, Value: name}, {Name: serviceLabel, Value: service},
		{Name: deltaLabel, Value: "false"}, {Name: "__otel__", Value: "true"},
	}
	seen := map[string]bool{}
	for _, one := range pairs {
		seen[one.Name] = true
	}
	for _, some := range attributes {
		for _, attribute := range some {
			if value := text(attribute.GetValue()); value != "" && !seen[attribute.GetKey()] {
				seen[attribute.GetKey()] = true
				pairs = append(pairs, &typesv1.LabelPair{Name: attribute.GetKey(), Value: value})
			}
		}
	}
	return pairs
}

func serviceOf(attributes []*common.KeyValue) string {
	name := noService
	for _, attribute := range attributes {
		switch value := text(attribute.GetValue()); {
		case value == "":
		case attribute.GetKey() == otelService:
			return value
		case attribute.GetKey() == otelExecutable:
			name += ":" + value
		}
	}
	return name
}

// text of an attribute: a string, a whole number, or a list of one of them.
func text(value *common.AnyValue) string {
	switch one := value.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return one.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(one.IntValue, 10)
	case *common.AnyValue_ArrayValue:
		if values := one.ArrayValue.GetValues(); len(values) == 1 && values[0].GetArrayValue() == nil {
			return text(values[0])
		}
	}
	return ""
}
