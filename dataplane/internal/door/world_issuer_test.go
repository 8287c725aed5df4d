package door

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is an identity provider.
type issuer struct {
	url   string
	mutex sync.Mutex
	keys  map[string]crypto.Signer
	kid   string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	found := &issuer{keys: map[string]crypto.Signer{}}
	found.rotate(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": found.url, "jwks_uri": found.url + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		found.mutex.Lock()
		defer found.mutex.Unlock()
		var set jose.JSONWebKeySet
		for kid, key := range found.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	found.url = server.URL
	return found
}

func (i *issuer) rotate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.kid = rand.Text()
	i.keys = map[string]crypto.Signer{i.kid: key}
}

func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return signed(t, jose.ES256, i.keys[i.kid], i.kid, i.claims(claims))
}

func (i *issuer) claims(claims map[string]any) map[string]any {
	now := time.Now()
	whole := map[string]any{"iss": i.url, "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(whole, claims)
	return whole
}

func signed(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
