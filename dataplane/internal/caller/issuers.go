package caller

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Asymmetric ones alone: `none` needs no key, and with HS256 the public key would be one.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

const (
	// How long a failed discovery is remembered: an issuer that is down is not asked by every request.
	retryAfter = 5 * time.Second
	// How long keys count without being asked for again: a key that the issuer took back ends then.
	keysFor = 5 * time.Minute
	// How long they count in all while the issuer cannot be asked. Its tokens are good for about as long, and who has one
	// needs nothing of it; a key that was taken back ends as soon as it answers.
	keysWithout = time.Hour
	// How long after they are due they still count while new ones are asked for.
	waitless = time.Minute
)

// issuers discovers OIDC issuers when the first token of each comes, so that the gateway starts without them; go-oidc
// keeps their keys and fetches new ones when a token names a key that it does not know.
type issuers struct {
	client *http.Client
	now    func() time.Time
	mutex  sync.Mutex
	known  map[string]*issuer
}

type issuer struct {
	mutex    sync.Mutex
	provider *oidc.Provider // with its keys
	fetched  time.Time      // when those came
	failed   error          // of the newest discovery
	until    time.Time      // when the next is due
	asked    bool           // it is under way, and nobody waits for it
}

func newIssuers(client *http.Client) *issuers {
	client = &http.Client{Transport: newOnce(client.Transport), Timeout: client.Timeout, CheckRedirect: client.CheckRedirect}
	return &issuers{client: client, now: time.Now, known: map[string]*issuer{}}
}

// verify checks signature, issuer, audience and times.
func (i *issuers) verify(ctx context.Context, raw, from, audience string) (*oidc.IDToken, error) {
	provider, err := i.provider(from)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, i.client)
	config := oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms}
	token, err := provider.Verifier(&config).Verify(ctx, raw)
	switch expired := new(oidc.TokenExpiredError); {
	case unfetched(err):
		return nil, fmt.Errorf("the keys of %s cannot be fetched", from)
	case errors.As(err, &expired) && i.now().Sub(expired.Expiry) < lately:
		config.SkipExpiryCheck = true // all else is checked once more, the signature too
		if token, err := provider.Verifier(&config).Verify(ctx, raw); err == nil {
			return nil, Expired{Refused{reason(expired)}, token.Subject}
		}
		return nil, Refused{reason(expired)}
	case err != nil:
		return nil, Refused{reason(err)}
	}
	if token.IssuedAt.After(time.Now().Add(maxSkew)) {
		return nil, Refused{"the token is of the future"}
	}
	return token, nil
}

func (i *issuers) provider(from string) (*oidc.Provider, error) {
	i.mutex.Lock()
	one := i.known[from]
	if one == nil {
		one = &issuer{}
		i.known[from] = one
	}
	i.mutex.Unlock()
	one.mutex.Lock()
	defer one.mutex.Unlock()
	switch now := i.now(); {
	case now.Before(one.until):
	case one.counts(now) && (one.failed != nil || now.Before(one.until.Add(waitless))): // nobody waits for it: it may be away
		if !one.asked {
			one.asked = true
			go func() {
				provider, err := i.discover(from)
				one.mutex.Lock()
				defer one.mutex.Unlock()
				one.asked = false
				one.learn(provider, err, i.now())
			}()
		}
	default:
		provider, err := i.discover(from)
		one.learn(provider, err, i.now())
	}
	if one.failed != nil && !one.counts(i.now()) {
		return nil, one.failed
	}
	return one.provider, nil
}

func (o *issuer) counts(now time.Time) bool {
	return o.provider != nil && now.Before(o.fetched.Add(keysWithout))
}

func (o *issuer) learn(provider *oidc.Provider, err error, now time.Time) {
	if err != nil {
		if o.failed == nil && o.counts(now) {
			slog.Warn("an issuer is away; the keys that it had count for a while", "until", o.fetched.Add(keysWithout), "err", err)
		}
		o.failed, o.until = err, now.Add(retryAfter)
		return
	}
	o.provider, o.fetched, o.failed, o.until = provider, now, nil, now.Add(keysFor)
}

// nobody is a token of a key that no issuer has: go-oidc fetches keys when it sees one, and has no other way to say so.
var nobody = part(`{"alg":"RS256","kid":"flameplane-asks-for-keys"}`) + "." + part(`{}`) + "." + part("none")

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// discover asks an issuer who it is, and for its keys: without them it has not answered.
func (i *issuers) discover(from string) (*oidc.Provider, error) {
	// Not the request's context: go-oidc keeps this one for as long as it fetches keys.
	ctx := oidc.ClientContext(context.Background(), i.client)
	provider, err := oidc.NewProvider(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("the issuer %s cannot be reached: %w", from, err)
	}
	verifier := provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: algorithms})
	if _, err := verifier.Verify(ctx, nobody); unfetched(err) {
		return nil, fmt.Errorf("the keys of %s cannot be fetched: %w", from, err)
	}
	return provider, nil
}

// unfetched says whether keys could not be fetched; go-oidc has no other sign of it.
func unfetched(err error) bool { return err != nil && strings.Contains(err.Error(), "fetching keys") }

// reason says in our words what go-oidc found: its own errors quote the token's claims.
func reason(err error) string {
	text := err.Error()
	for part, words := range map[string]string{
		"token is expired":      "the token is expired",
		"before the nbf":        "the token is of the future",
		"expected audience":     "the token is not meant for this gateway (audience)",
		"different provider":    "the token is of another issuer",
		"signed with unsupport": "the token is signed in a way that does not count",
		"malformed jwt":         "the token is no JWT",
	} {
		if strings.Contains(text, part) {
			return words
		}
	}
	return "the token's signature does not hold"
}
