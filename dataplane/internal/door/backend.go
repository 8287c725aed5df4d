package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1/capabilitiesv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/version/v1/versionv1connect"

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
	client   *http.Client
	urls     settings.Backend
}

const (
	dialTime  = 5 * time.Second
	queryTime = 2 * time.Minute // Pyroscope's own limit of a query
)

// NewBackend calls the addresses of “urls“. Where they have TLS, files are read again when they change, so that a
// renewed certificate needs no restart.
func NewBackend(urls settings.Backend, answerMegabytes int) (*Backend, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the backend is in the cluster; a proxy would see every profile
	transport.MaxIdleConnsPerHost = 64
	transport.ResponseHeaderTimeout = queryTime
	if urls.TLS != nil {
		mutual := &Mutual{files: *urls.TLS}
		config, err := mutual.config()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = config
	}
	client := &http.Client{Transport: transport, Timeout: queryTime, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the backend does not lead elsewhere")
	}}
	bound := connect.WithReadMaxBytes(answerMegabytes << 20)
	return &Backend{
		push:     pushv1connect.NewPusherServiceClient(client, urls.Write, bound),
		querier:  querierv1connect.NewQuerierServiceClient(client, urls.Read, bound),
		features: capabilitiesv1connect.NewFeatureFlagsServiceClient(client, urls.Read, bound),
		version:  versionv1connect.NewVersionClient(client, urls.Read, bound),
		client:   client,
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

// Mutual is the gateway's certificate and whose the backend's has to be signed by.
type Mutual struct {
	files settings.TLS
	mutex sync.Mutex
	last  [2]time.Time
	pair  *tls.Certificate
}

func (m *Mutual) config() (*tls.Config, error) {
	if _, err := m.certificate(); err != nil {
		return nil, err
	}
	if _, err := m.roots(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.certificate() },
		// The CA may be renewed too: the chain is verified below, against the file as it is now.
		InsecureSkipVerify: true,
		VerifyConnection:   m.verify,
	}, nil
}

func (m *Mutual) verify(state tls.ConnectionState) error {
	roots, err := m.roots()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: state.ServerName, Intermediates: x509.NewCertPool()}
	for _, one := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(one)
	}
	_, err = state.PeerCertificates[0].Verify(options)
	return err
}

func (m *Mutual) roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(m.files.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(m.files.CA + " holds no certificate")
	}
	return pool, nil
}

func (m *Mutual) certificate() (*tls.Certificate, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var times [2]time.Time
	for i, path := range []string{m.files.Certificate, m.files.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		times[i] = info.ModTime()
	}
	if m.pair != nil && times == m.last {
		return m.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(m.files.Certificate, m.files.Key)
	if err != nil {
		return nil, err
	}
	m.pair, m.last = &pair, times
	return m.pair, nil
}
