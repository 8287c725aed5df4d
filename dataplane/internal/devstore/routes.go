package devstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	capabilitiesv1 "github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1/capabilitiesv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	versionv1 "github.com/grafana/pyroscope/api/gen/proto/go/version/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/version/v1/versionv1connect"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	otlpProcedure = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
	otlpPath      = "/v1development/profiles"
)

// writing are the procedures that push.
var writing = map[string]bool{pushv1connect.PusherServicePushProcedure: true, otlpProcedure: true}

func (s *Store) routes() http.Handler {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{
		connect.WithInterceptors(s.ones()), connect.WithReadMaxBytes(s.options.BodyMegabytes << 20),
	}
	mux.Handle(pushv1connect.NewPusherServiceHandler(pusher{s}, options...))
	mux.Handle(querierv1connect.NewQuerierServiceHandler(querier{Store: s}, options...))
	mux.Handle(versionv1connect.NewVersionHandler(asked{}, options...))
	mux.Handle(capabilitiesv1connect.NewFeatureFlagsServiceHandler(asked{}, options...))
	mux.Handle(otlpProcedure, connect.NewUnaryHandler(otlpProcedure, s.exportOTLP, options...))
	mux.Handle("POST "+otlpPath, s.plainly(otlpPath, s.postOTLP))
	mux.Handle("POST /ingest", s.plainly("/ingest", s.ingest))
	mux.Handle("POST /pyroscope/ingest", s.plainly("/ingest", s.ingest))
	s.status(mux)
	return mux
}

// Status serves /metrics, /healthz and /ready alone: what may be asked by who may not read profiles.
func (s *Store) Status() http.Handler {
	mux := http.NewServeMux()
	s.status(mux)
	return mux
}

func (s *Store) status(mux *http.ServeMux) {
	for path, word := range map[string]string{"GET /ready": "ready", "GET /healthz": "ok"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, word) })
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{}))
}

// plainly serves a path that is no procedure. What it refuses is JSON with the code that goes with the status, of
// OTLP plain text.
func (s *Store) plainly(path string, serve func(w http.ResponseWriter, r *http.Request) (status int, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		r.Body = http.MaxBytesReader(w, r.Body, int64(s.options.BodyMegabytes)<<20)
		tenant, err := named(r.Header, true)
		status := http.StatusUnauthorized
		if err == nil {
			status, err = serve(w, r.WithContext(context.WithValue(r.Context(), tenantKey{}, tenant)))
		}
		s.metrics.requests.WithLabelValues(path, http.StatusText(status)).Observe(time.Since(start).Seconds())
		if err == nil {
			w.WriteHeader(status)
			return
		}
		code, text := connect.CodeUnknown, err.Error()
		if found := new(connect.Error); errors.As(err, &found) {
			text = found.Message()
		}
		if path == otlpPath && status != http.StatusUnauthorized {
			http.Error(w, text, status)
			return
		}
		switch status {
		case http.StatusBadRequest:
			code = connect.CodeInvalidArgument
		case http.StatusUnauthorized:
			code = connect.CodeUnauthenticated
		case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
			code = connect.CodeResourceExhausted
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": code.String(), "message": text})
	})
}

// status of an error of a push over plain HTTP.
func status(err error, otherwise int) int {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return http.StatusRequestEntityTooLarge
	case connect.CodeOf(err) == connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	}
	return otherwise
}

func readAll(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil && !errors.As(err, new(*http.MaxBytesError)) {
		return nil, invalid("the body cannot be read: %v", err)
	}
	return body, err
}

func invalid(format string, values ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, values...))
}

// unknown is what Pyroscope answers where it has no better code.
func unknown(format string, values ...any) error {
	return connect.NewError(connect.CodeUnknown, fmt.Errorf(format, values...))
}

func notBuilt(what string) error {
	return connect.NewError(connect.CodeUnimplemented, fmt.Errorf("devstore has no %s; Pyroscope has", what))
}

// asked answers what Grafana's app asks before it shows anything.
type asked struct{}

func (asked) Version(
	context.Context, *connect.Request[versionv1.VersionRequest],
) (*connect.Response[versionv1.VersionResponse], error) {
	return connect.NewResponse(&versionv1.VersionResponse{QuerierAPI: 1}), nil
}

func (asked) GetFeatureFlags(
	context.Context, *connect.Request[capabilitiesv1.GetFeatureFlagsRequest],
) (*connect.Response[capabilitiesv1.GetFeatureFlagsResponse], error) {
	return connect.NewResponse(&capabilitiesv1.GetFeatureFlagsResponse{}), nil
}
