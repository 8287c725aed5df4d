package door

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	otlpProcedure = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
	otlpPath      = "/v1development/profiles"
	otelService   = "service.name"
)

// exported reads a request of OTLP profiles: every resource of it belongs to one team.
func exported(m *profiles.ExportProfilesServiceRequest) (*Call, error) {
	if len(m.ResourceProfiles) == 0 {
		return nil, invalid("there is no profile in it")
	}
	call := &Call{Kind: Push}
	for _, resource := range m.ResourceProfiles {
		labels := map[string]string{}
		for _, attribute := range resource.GetResource().GetAttributes() {
			key := attribute.GetKey()
			if _, twice := labels[key]; twice {
				return nil, invalid("a resource has the attribute %s twice", cut(key, 40))
			}
			labels[key] = text(attribute.GetValue())
		}
		if labels[serviceLabel] == "" {
			labels[serviceLabel] = labels[otelService]
		}
		if err := call.written(labels); err != nil {
			return nil, err
		}
	}
	return call, nil
}

func text(value *common.AnyValue) string {
	if found, ok := value.GetValue().(*common.AnyValue_StringValue); ok {
		return found.StringValue
	}
	return ""
}

var otlpShape = shapeOf((*profiles.ExportProfilesServiceRequest)(nil).ProtoReflect().Descriptor())

// otlpIngest reads POST /v1development/profiles, in protobuf or JSON, and sends protobuf.
func otlpIngest(r *http.Request, _ time.Time) (*Call, *http.Request, error) {
	one, encoding := visiting(r.Context()), r.Header.Get("Content-Encoding")
	if !packable(encoding) {
		return nil, nil, invalid("Content-Encoding is %q; valid: gzip", cut(encoding, 20))
	}
	message := &profiles.ExportProfilesServiceRequest{}
	unmarshal, weigh := proto.Unmarshal, otlpShape.weigh
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/json":
		unmarshal, weigh = protojson.Unmarshal, otlpShape.weighJSON
	case "application/x-protobuf", "application/protobuf":
	default:
		return nil, nil, invalid("Content-Type is %q; valid: application/x-protobuf, application/json", cut(kind, 40))
	}
	body, err := one.read(r.Context(), r.Body, encoding, one.state.Gateway.Limits.BodyMegabytes<<20)
	if err != nil {
		return nil, nil, err
	}
	decoded, err := weigh(body)
	if err != nil {
		return nil, nil, err
	}
	if err := one.holding.take(r.Context(), decoded, true); err != nil {
		return nil, nil, err
	}
	if err := unmarshal(body, message); err != nil {
		return nil, nil, invalid("the body is no request of OTLP profiles")
	}
	call, err := understand(message)
	if err != nil {
		return nil, nil, err
	}
	anew, err := proto.Marshal(message)
	if err != nil {
		return nil, nil, err
	}
	return call, send(otlpPath, url.Values{}, "application/x-protobuf", anew), nil
}

// export is the client of the same call over gRPC.
func otlpClient(client *http.Client, base string, options ...connect.ClientOption) method[profiles.ExportProfilesServiceRequest, profiles.ExportProfilesServiceResponse] {
	exporting := connect.NewClient[profiles.ExportProfilesServiceRequest, profiles.ExportProfilesServiceResponse](
		client, base+otlpProcedure, append(options, connect.WithGRPC())...)
	return func(ctx context.Context, request *connect.Request[profiles.ExportProfilesServiceRequest]) (*connect.Response[profiles.ExportProfilesServiceResponse], error) {
		return exporting.CallUnary(ctx, request)
	}
}
