package door

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1/capabilitiesv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/version/v1/versionv1connect"
	"github.com/prometheus/client_golang/prometheus"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"

	"flameplane.dev/dataplane/internal/settings"
)

// tenantHeader is what Pyroscope believes. It is set here, on requests that are made here, and taken from nobody.
const tenantHeader = "X-Scope-OrgID"

// Backend is Pyroscope, or what stands in for it, by kind of call.
type Backend struct {
	push     pushv1connect.PusherServiceClient
	querier  querierv1connect.QuerierServiceClient
	features capabilitiesv1connect.FeatureFlagsServiceClient
	version  versionv1connect.VersionClient
	otlp     method[profiles.ExportProfilesServiceRequest, profiles.ExportProfilesServiceResponse]
	client   *http.Client
	storing  *http.Client // of pushes
	urls     settings.Backend
}

const (
	dialTime  = 5 * time.Second
	queryTime = 2 * time.Minute // Pyroscope's own limit of a query
	// Of a push, which Pyroscope stores within seconds: it may have the turn of the budget meanwhile, and others wait.
	pushTime = 20 * time.Second
)

// NewBackend calls the addresses of “urls“. Where they have TLS, files are read again when they change, so that a
// renewed certificate needs no restart.
func NewBackend(urls settings.Backend, answerMegabytes int, registry prometheus.Registerer) (*Backend, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the backend is in the cluster; a proxy would see every profile
	transport.MaxIdleConnsPerHost = 64
	transport.ResponseHeaderTimeout = queryTime
	if urls.TLS != nil {
		config, err := mutualTLS(*urls.TLS, registry)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = config
	}
	stay := func(*http.Request, []*http.Request) error { return errors.New("the backend does not lead elsewhere") }
	client := &http.Client{Transport: answers{transport}, Timeout: queryTime, CheckRedirect: stay}
	grpc := transport.Clone() // gRPC is HTTP/2 alone
	grpc.Protocols = new(http.Protocols)
	grpc.Protocols.SetHTTP2(true)
	grpc.Protocols.SetUnencryptedHTTP2(urls.TLS == nil)
	h2 := &http.Client{Transport: answers{grpc}, Timeout: pushTime, CheckRedirect: stay}
	storing := &http.Client{Transport: answers{transport}, Timeout: pushTime, CheckRedirect: stay}
	bound := connect.WithClientOptions(connect.WithReadMaxBytes(answerMegabytes<<20), asIs())
	return &Backend{
		push:     pushv1connect.NewPusherServiceClient(storing, urls.Write, bound),
		querier:  querierv1connect.NewQuerierServiceClient(client, urls.Read, bound),
		features: capabilitiesv1connect.NewFeatureFlagsServiceClient(client, urls.Read, bound),
		version:  versionv1connect.NewVersionClient(client, urls.Read, bound),
		otlp:     otlpClient(h2, urls.Write, bound),
		client:   client,
		storing:  storing,
		urls:     urls,
	}, nil
}

// Ready asks whether the backend answers at all.
func (b *Backend) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.urls.Read+"/ready", nil)
	if err != nil {
		return err
	}
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
