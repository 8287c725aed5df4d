package caller

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// away is an issuer that can go away, in whole or with its keys alone, and change its key.
type away struct {
	t     *testing.T
	url   string
	mutex sync.Mutex
	down  string // whatever begins so is not answered
	key   *ecdsa.PrivateKey
	kid   string
}

func newAway(t *testing.T) *away {
	a := &away{t: t}
	a.rotate()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *away) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch {
	case a.down != "" && strings.HasPrefix(r.URL.Path, a.down):
		http.Error(w, "away", http.StatusBadGateway)
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: a.key.Public(), KeyID: a.kid, Use: "sig"}}})
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": a.url, "jwks_uri": a.url + "/keys"})
	}
}

func (a *away) goes(down string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.down = down
}

func (a *away) rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.key, a.kid = key, rand.Text()
}

func (a *away) token() string {
	options := (&jose.SignerOptions{}).WithHeader("kid", a.kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.key}, options)
	if err != nil {
		a.t.Fatal(err)
	}
	said := map[string]any{"iss": a.url, "aud": "flameplane", "sub": "ann", "exp": time.Now().Add(24 * time.Hour).Unix()}
	text, err := jwt.Signed(signer).Claims(said).Serialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

// clocked are issuers whose time the test sets.
type clocked struct {
	*issuers
	mutex sync.Mutex
	time  time.Time
}

func newClocked() *clocked {
	c := &clocked{time: time.Now()}
	c.issuers = &issuers{client: &http.Client{}, known: map[string]*issuer{}, now: func() time.Time {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.time
	}}
	return c
}

func (c *clocked) pass(time time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.time = c.time.Add(time)
}

// says is what becomes of a token, once a discovery that is under way has ended.
func (c *clocked) says(t *testing.T, from *away, token string) error {
	t.Helper()
	_, err := c.verify(t.Context(), token, from.url, "flameplane")
	for one := c.known[from.url]; ; {
		one.mutex.Lock()
		asked := one.asked
		one.mutex.Unlock()
		if !asked {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAnIssuerThatIsAwayStopsNobodyForAWhile(t *testing.T) {
	for _, down := range []string{"/", "/keys"} {
		from, of := newAway(t), newClocked()
		token := from.token()
		if err := of.says(t, from, token); err != nil {
			t.Fatal(err)
		}
		from.goes(down)
		for minute := range 58 {
			of.pass(time.Minute)
			if err := of.says(t, from, token); err != nil {
				t.Fatalf("%s is away, after %d minutes: %v", down, minute+1, err)
			}
		}
		of.pass(2 * time.Minute) // an hour in all
		if err := of.says(t, from, token); err == nil || IsRefused(err) {
			t.Fatalf("%s is away for an hour: %v", down, err)
		}
		from.goes("")
		if err := of.says(t, from, token); err == nil {
			t.Fatal("it was asked again at once")
		}
		of.pass(retryAfter)
		if err := of.says(t, from, token); err != nil {
			t.Fatalf("%s is back: %v", down, err)
		}
	}
}

func TestAKeyThatWasTakenBackEndsOnceTheIssuerIsThere(t *testing.T) {
	from, of := newAway(t), newClocked()
	old := from.token()
	if err := of.says(t, from, old); err != nil {
		t.Fatal(err)
	}
	from.goes("/")
	from.rotate()
	of.pass(keysFor)
	if err := of.says(t, from, old); err != nil {
		t.Fatal(err)
	}
	if err := of.says(t, from, from.token()); err == nil || IsRefused(err) {
		t.Fatalf("a key that nobody could fetch: %v", err)
	}
	from.goes("")
	of.pass(retryAfter)
	_ = of.says(t, from, old) // finds the issuer there; itself it did not wait
	if err := of.says(t, from, old); !IsRefused(err) {
		t.Fatalf("the key was taken back: %v", err)
	}
	if err := of.says(t, from, from.token()); err != nil {
		t.Fatal(err)
	}
}

func TestAnIssuerThatWasNeverThereIsNone(t *testing.T) {
	from, of := newAway(t), newClocked()
	from.goes("/keys")
	if err := of.says(t, from, from.token()); err == nil || IsRefused(err) {
		t.Fatal(err)
	}
}

// While it is known to be away, requests do not wait until it times out.
func TestNobodyWaitsForAnIssuerThatIsAway(t *testing.T) {
	from, of := newAway(t), newClocked()
	token := from.token()
	if err := of.says(t, from, token); err != nil {
		t.Fatal(err)
	}
	from.goes("/")
	of.pass(keysFor)
	if err := of.says(t, from, token); err != nil {
		t.Fatal(err)
	}
	of.pass(retryAfter)
	from.mutex.Lock() // it takes a question, and answers none
	_, err := of.verify(t.Context(), token, from.url, "flameplane")
	from.mutex.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := of.says(t, from, token); err != nil {
		t.Fatal(err)
	}
}
