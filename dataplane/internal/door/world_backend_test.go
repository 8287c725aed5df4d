package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
)

// backend answers like Pyroscope and remembers what reached it.
type backend struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	url   string
	mutex sync.Mutex
	calls []reached
}

type reached struct {
	path   string
	query  url.Values
	header http.Header
	body   []byte
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	found, mux := &backend{}, http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(found))
	mux.Handle(querierv1connect.NewQuerierServiceHandler(found))
	mux.HandleFunc("/pyroscope/render", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Of-The-Backend", "1")
		fmt.Fprintf(w, "secret %s of %s", r.URL.Query().Get("format"), r.Header.Get(tenantHeader))
	})
	for _, plain := range []string{"/ingest", "/pyroscope/ingest", otlpPath, "/pyroscope/render-diff"} {
		mux.HandleFunc(plain, func(http.ResponseWriter, *http.Request) {})
	}
	exported := func(context.Context, *connect.Request[profiles.ExportProfilesServiceRequest]) (*connect.Response[profiles.ExportProfilesServiceResponse], error) {
		return connect.NewResponse(&profiles.ExportProfilesServiceResponse{}), nil
	}
	mux.Handle(otlpProcedure, connect.NewUnaryHandler(otlpProcedure, exported))
	found.url = served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		found.mutex.Lock()
		found.calls = append(found.calls, reached{r.URL.Path, r.URL.Query(), r.Header.Clone(), body})
		found.mutex.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		mux.ServeHTTP(w, r)
	}))
	return found
}

func (b *backend) all() []reached {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return append([]reached{}, b.calls...)
}

func (b *backend) LabelNames(_ context.Context, r *connect.Request[typesv1.LabelNamesRequest]) (*connect.Response[typesv1.LabelNamesResponse], error) {
	answer := connect.NewResponse(&typesv1.LabelNamesResponse{Names: []string{"of-" + r.Header().Get(tenantHeader)}})
	answer.Header().Set("X-Of-The-Backend", "1")
	return answer, nil
}

func (b *backend) SelectMergeStacktraces(_ context.Context, r *connect.Request[querierv1.SelectMergeStacktracesRequest]) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	answer := &querierv1.SelectMergeStacktracesResponse{}
	switch r.Msg.Format {
	case querierv1.ProfileFormat_PROFILE_FORMAT_PPROF:
		answer.Pprof = &querierv1.PprofProfile{Profile: &googlev1.Profile{StringTable: []string{"", "main.secret"}}}
	case querierv1.ProfileFormat_PROFILE_FORMAT_DOT:
		answer.Dot = "digraph { secret }"
	case querierv1.ProfileFormat_PROFILE_FORMAT_TREE:
		answer.Tree = []byte("secret")
	default:
		answer.Flamegraph = &querierv1.FlameGraph{Names: []string{"total", r.Header().Get(tenantHeader)}, Total: 1}
	}
	return connect.NewResponse(answer), nil
}

func (b *backend) SelectMergeProfile(context.Context, *connect.Request[querierv1.SelectMergeProfileRequest]) (*connect.Response[googlev1.Profile], error) {
	return connect.NewResponse(&googlev1.Profile{StringTable: []string{"", "main.secret"}}), nil
}

func (b *backend) SelectSeries(_ context.Context, r *connect.Request[querierv1.SelectSeriesRequest]) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	if strings.Contains(r.Msg.LabelSelector, "broken") {
		failed := connect.NewError(connect.CodeInternal, errors.New("the index is gone"))
		failed.Meta().Set("X-Secret", "1")
		return nil, failed
	}
	return connect.NewResponse(&querierv1.SelectSeriesResponse{}), nil
}

func (b *backend) Push(context.Context, *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}
