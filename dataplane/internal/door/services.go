package door

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	settingsv1 "github.com/grafana/pyroscope/api/gen/proto/go/settings/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// route is one method and path that the gateway answers.
type route struct {
	method    string
	operation string // as metrics and the audit name it
	handler   http.Handler
	plain     bool // no procedure of Connect or gRPC
}

const (
	querier         = "/querier.v1.QuerierService/"
	operationPush   = "push"    // what writes, as metrics and the audit name it
	longestQuestion = 256 << 10 // bytes, unpacked; only pushes have more to say
)

// table is everything that is let through. A path that is not listed leads nowhere: AnalyzeQuery, the source code of
// VCSService, uploads, /ops and all administration among them.
func (d *Door) table() map[string]route {
	b := d.Backend
	return map[string]route{
		querier + "ProfileTypes":           unary(d, querier+"ProfileTypes", "names", b.querier.ProfileTypes),
		querier + "LabelNames":             unary(d, querier+"LabelNames", "names", b.querier.LabelNames),
		querier + "LabelValues":            unary(d, querier+"LabelValues", "names", b.querier.LabelValues),
		querier + "Series":                 unary(d, querier+"Series", "names", b.querier.Series),
		querier + "SelectSeries":           unary(d, querier+"SelectSeries", "totals", b.querier.SelectSeries),
		querier + "SelectHeatmap":          unary(d, querier+"SelectHeatmap", "heatmap", b.querier.SelectHeatmap),
		querier + "SelectMergeStacktraces": unary(d, querier+"SelectMergeStacktraces", "stacktraces", b.querier.SelectMergeStacktraces),
		querier + "SelectMergeSpanProfile": unary(d, querier+"SelectMergeSpanProfile", "stacktraces", b.querier.SelectMergeSpanProfile),
		querier + "SelectMergeProfile":     unary(d, querier+"SelectMergeProfile", "profile", b.querier.SelectMergeProfile),
		querier + "Diff":                   unary(d, querier+"Diff", "diff", b.querier.Diff),
		querier + "GetProfileStats":        unary(d, querier+"GetProfileStats", "stats", b.querier.GetProfileStats),
		"/push.v1.PusherService/Push":      unary(d, "/push.v1.PusherService/Push", "push", b.push.Push),
		otlpProcedure:                      unary(d, otlpProcedure, "push", b.otlp),
		otlpPath:                           d.plainly(http.MethodPost, "push", b.urls.Write, otlpIngest),
		"/ingest":                          d.plainly(http.MethodPost, "push", b.urls.Write, ingest),
		"/pyroscope/ingest":                d.plainly(http.MethodPost, "push", b.urls.Write, ingest),
		"/pyroscope/render":                d.plainly(http.MethodGet, "render", b.urls.Read, render),
		"/pyroscope/render-diff":           d.plainly(http.MethodGet, "render", b.urls.Read, renderDiff),
		"/version.v1.Version/Version":      unary(d, "/version.v1.Version/Version", "version", b.version.Version),
		"/capabilities.v1.FeatureFlagsService/GetFeatureFlags": unary(
			d, "/capabilities.v1.FeatureFlagsService/GetFeatureFlags", "features", b.features.GetFeatureFlags),
		"/settings.v1.SettingsService/Get": unary(d, "/settings.v1.SettingsService/Get", "settings", d.pluginSettings),
	}
}

type method[Request, Response any] = func(context.Context, *connect.Request[Request]) (*connect.Response[Response], error)

// unary serves one procedure in every protocol that connect speaks (Connect, gRPC, gRPC-Web; protobuf and JSON): decode,
// decide, encode anew.
func unary[Request, Response any](d *Door, procedure, operation string, send method[Request, Response]) route {
	serve := func(ctx context.Context, request *connect.Request[Request]) (*connect.Response[Response], error) {
		response, err := through(ctx, d, request, send)
		if err == nil {
			return response, nil
		}
		if connect.CodeOf(err) == connect.CodeUnavailable && !connect.IsWireError(err) {
			err = refuse(unavailable, "backend", "the backend cannot be reached") // its address is nobody's matter
		}
		if answer := new(connect.Error); errors.As(err, &answer) && !errors.As(err, new(*refusal)) { // the backend's: its words, and nothing else of it
			visiting(ctx).record.Code, visiting(ctx).record.Reason = answer.Code().String(), cut(answer.Message(), longestPath)
			return nil, connect.NewError(answer.Code(), errors.New(answer.Message()))
		}
		no := visiting(ctx).refused(err)
		return nil, connect.NewError(no.code, no)
	}
	most := longestQuestion
	if operation == operationPush {
		most = d.Settings.State().Gateway.Limits.BodyMegabytes << 20
	}
	handler := connect.NewUnaryHandler(procedure, serve, connect.WithReadMaxBytes(most), packing(),
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}))
	asked := shapeOf(any(new(Request)).(proto.Message).ProtoReflect().Descriptor())
	weighing := func(w http.ResponseWriter, r *http.Request) {
		defer visiting(r.Context()).answered()
		if err := d.weighed(r, asked, most); err != nil {
			d.refused(w, r, err)
			return
		}
		handler.ServeHTTP(w, r)
	}
	return route{http.MethodPost, operation, http.HandlerFunc(weighing), false}
}

func through[Request, Response any](
	ctx context.Context, d *Door, request *connect.Request[Request], send method[Request, Response],
) (*connect.Response[Response], error) {
	one, message := visiting(ctx), any(request.Msg).(proto.Message)
	if err := one.patterns(ctx, selectorsOf(message)...); err != nil {
		return nil, err
	}
	call, err := understand(message)
	if err != nil {
		return nil, err
	}
	decision, err := d.admit(one, call)
	if err != nil {
		return nil, err
	}
	forwarded := connect.NewRequest(request.Msg)
	forwarded.Header().Set(tenantHeader, decision.Tenant)
	response, err := send(ctx, forwarded)
	if err != nil {
		return nil, err
	}
	if decision.Grant != nil {
		stamp(any(response.Msg), decision.Grant.Name())
	}
	if err := d.use(ctx, one, decision); err != nil {
		return nil, err
	}
	return connect.NewResponse(response.Msg), nil
}

// stamp writes a grant's id into the profile that leaves by it, so that a copy can be told from another.
func stamp(answer any, grant string) {
	text := "flameplane export grant " + grant
	switch m := answer.(type) {
	case *googlev1.Profile:
		comment(m, text)
	case *querierv1.SelectMergeStacktracesResponse:
		if profile := m.GetPprof().GetProfile(); profile != nil {
			comment(profile, text)
		}
		if m.Dot != "" {
			m.Dot = "// " + text + "\n" + m.Dot
		}
	}
}

func comment(profile *googlev1.Profile, text string) {
	if len(profile.StringTable) == 0 {
		profile.StringTable = []string{""}
	}
	profile.Comment = append(profile.Comment, int64(len(profile.StringTable)))
	profile.StringTable = append(profile.StringTable, text)
}

// pluginSettings answers for Profiles Drilldown, in place of the backend: its own default would offer to post a profile
// to a public site.
func (d *Door) pluginSettings(
	ctx context.Context, _ *connect.Request[settingsv1.GetSettingsRequest],
) (*connect.Response[settingsv1.GetSettingsResponse], error) {
	value, err := json.Marshal(visiting(ctx).state.Gateway.PluginSettings)
	if err != nil {
		return nil, err
	}
	one := &settingsv1.Setting{Name: "pluginSettings", Value: string(value)}
	return connect.NewResponse(&settingsv1.GetSettingsResponse{Settings: []*settingsv1.Setting{one}}), nil
}

// strictJSON refuses fields that the API does not have. Connect's own codec would drop them.
type strictJSON struct{ name string }

func (c strictJSON) Name() string { return c.name }

func (c strictJSON) Marshal(message any) ([]byte, error) {
	return protojson.Marshal(message.(proto.Message))
}

func (c strictJSON) Unmarshal(text []byte, message any) error {
	if err := protojson.Unmarshal(text, message.(proto.Message)); err != nil {
		return errors.New(brief(err.Error())) // it quotes the value, which may be all of the body
	}
	return nil
}
