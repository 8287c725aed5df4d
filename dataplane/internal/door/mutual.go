package door

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/settings"
)

// mutual is the gateway's certificate, and by whom the backend's has to be signed.
type mutual struct {
	files   settings.TLS
	expires prometheus.Gauge
	mutex   sync.Mutex
	last    [2]time.Time
	pair    *tls.Certificate
}

// mutualTLS reads its files at each handshake if they changed.
func mutualTLS(files settings.TLS, registry prometheus.Registerer) (*tls.Config, error) {
	m := &mutual{files: files, expires: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "flameplane_gateway_backend_certificate_expiry_timestamp_seconds",
		Help: "When the certificate that the gateway shows the backend expires.",
	})}
	registry.MustRegister(m.expires)
	if _, err := m.certificate(); err != nil {
		return nil, err
	}
	if _, err := m.roots(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.certificate() },
		// Go would verify against roots that were read at the start; `verify` does it against the file as it is now.
		InsecureSkipVerify: true,
		VerifyConnection:   m.verify,
	}, nil
}

func (m *mutual) verify(state tls.ConnectionState) error {
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

func (m *mutual) roots() (*x509.CertPool, error) {
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

func (m *mutual) certificate() (*tls.Certificate, error) {
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
	m.expires.Set(float64(pair.Leaf.NotAfter.Unix()))
	return m.pair, nil
}
