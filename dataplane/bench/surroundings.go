package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	authentication "k8s.io/api/authentication/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// What the tokens say. Both are RS256 by one key, so that a proxy that knows this key alone can verify them.
const (
	people   = "flameplane"         // audience of people's tokens
	programs = "flameplane-gateway" // audience of programs' tokens
	group    = "payments-engineers"
	node     = "system:serviceaccount:flameplane-node:flameplane-node"
	valid    = time.Hour
	bits     = 2048
)

// surroundings are an identity provider and as much of an API server as says whose a token is (TokenReview), on one
// address of this machine, with a certificate that is made for the occasion.
type surroundings struct {
	listener net.Listener
	server   *http.Server
	key      *rsa.PrivateKey
	pods     map[string]string // by token
}

// surround serves, and leaves in “folder“ what others need: ca.pem, key.pem (the public key of the tokens), and tokens.
func surround(folder string) (*surroundings, error) {
	if folder == "" {
		return nil, errors.New("-folder is missing")
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	certificate, der, err := certified(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &surroundings{key: key, pods: map[string]string{}, listener: plain}
	files, err := s.tokens()
	if err != nil {
		return nil, err
	}
	files["ca.pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	files["key.pem"] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	s.server = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = s.server.ServeTLS(plain, "", "") }()
	return s, nil
}

func (s *surroundings) address() string { return s.listener.Addr().String() }

// Close ends the server.
func (s *surroundings) Close() error { return s.server.Close() }

func (s *surroundings) issuer() string { return "https://" + s.address() }

func certified(key *rsa.PrivateKey) (tls.Certificate, []byte, error) {
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway benchmark"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(2 * valid),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, der, err
}

// callers is how many people and pods there are: one alone would soon ask more than the gateway lets anybody.
const callers = 100

// tokens are those of people and programs, a line each, and some that no door may take for good.
func (s *surroundings) tokens() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, one := range map[string]struct {
		issuer, audience, subject string
		until                     time.Duration
	}{
		"expired":  {s.issuer(), people, "ann", -10 * time.Minute},
		"audience": {s.issuer(), "wiki", "ann", valid},
		"issuer":   {s.issuer() + "/elsewhere", people, "ann", valid},
	} {
		token, err := s.token(one.issuer, one.audience, one.subject, one.until)
		if err != nil {
			return nil, err
		}
		files[name+".jwt"] = []byte(token)
	}
	var persons, pods []string
	for i := range callers {
		person, err := s.token(s.issuer(), people, fmt.Sprint("ann-", i), valid)
		if err != nil {
			return nil, err
		}
		// An issuer of its own, as an API server is; which pod it is bound to says the review.
		program, err := s.token(s.issuer()+"/cluster", programs, fmt.Sprint(node, "-", i), valid)
		if err != nil {
			return nil, err
		}
		persons, pods = append(persons, person), append(pods, program)
		s.pods[program] = fmt.Sprint("flameplane-node-", i)
	}
	files["people.jwt"], files["programs.jwt"] = []byte(strings.Join(persons, "\n")), []byte(strings.Join(pods, "\n"))
	return files, nil
}

func (s *surroundings) token(issuer, audience, subject string, until time.Duration) (string, error) {
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": subject, "email": subject + "@example.com", "groups": []string{group},
		"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(until).Unix(),
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: s.key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func (s *surroundings) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		said(w, map[string]any{"issuer": s.issuer(), "jwks_uri": s.issuer() + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		said(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "1", Use: "sig"}}})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, r *http.Request) {
		review := new(authentication.TokenReview)
		body, err := io.ReadAll(r.Body) // JSON or protobuf, as the client likes
		if err == nil {
			_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, review)
		}
		if err != nil {
			http.Error(w, fmt.Sprint("no TokenReview: ", err), http.StatusBadRequest)
			return
		}
		if pod := s.pods[review.Spec.Token]; pod != "" {
			review.Status = authentication.TokenReviewStatus{
				Authenticated: true, Audiences: []string{programs},
				User: authentication.UserInfo{Username: node, Extra: map[string]authentication.ExtraValue{
					"authentication.kubernetes.io/pod-name": {pod}, "authentication.kubernetes.io/pod-uid": {pod},
				}},
			}
		}
		review.APIVersion, review.Kind = "authentication.k8s.io/v1", "TokenReview"
		said(w, review)
	})
	return mux
}

func said(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
