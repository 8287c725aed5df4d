package caller

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reviews is the part of the Kubernetes API that says whether a service account's token is good.
type Reviews interface {
	Create(context.Context, *authentication.TokenReview, meta.CreateOptions) (*authentication.TokenReview, error)
}

const (
	remembered     = 30 * time.Second // how long a good token counts after its pod or account is gone
	mostRemembered = 4096             // tokens; each program and node has one
	podName        = "authentication.kubernetes.io/pod-name"
	podUID         = "authentication.kubernetes.io/pod-uid"
	accountPrefix  = "system:serviceaccount:"
)

// Programs verifies service accounts' tokens by asking the API server, which knows whether pod and account still exist.
type Programs struct {
	reviews Reviews
	mutex   sync.Mutex
	known   map[[sha256.Size]byte]program

	strangers *rate.Limiter
}

// Who was seen good within this time is asked about first: made-up tokens do not keep the API server from the others.
const seenGood = 10 * time.Minute

const (
	strangersPerSecond = 20 // tokens that nobody has seen yet; a rollout of all nodes at once takes a while longer
	strangersBurst     = 200
)

type program struct {
	caller Caller
	until  time.Time
}

// NewPrograms verifies by “reviews“; nil where there is no Kubernetes.
func NewPrograms(reviews Reviews) *Programs {
	return &Programs{
		reviews: reviews, known: map[[sha256.Size]byte]program{},
		strangers: rate.NewLimiter(strangersPerSecond, strangersBurst),
	}
}

func (p *Programs) verify(ctx context.Context, raw, audience string) (Caller, error) {
	if p.reviews == nil {
		return Caller{}, Refused{"service accounts are not known here"}
	}
	key := sha256.Sum256([]byte(audience + "\x00" + raw))
	p.mutex.Lock()
	one, ok := p.known[key]
	p.mutex.Unlock()
	if ok && time.Now().Before(one.until) {
		return one.caller, nil
	}
	if known := ok && time.Now().Before(one.until.Add(seenGood)); !known && !p.strangers.Allow() {
		return Caller{}, errors.New("too many tokens that nobody has seen before")
	}
	asked := &authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: raw, Audiences: []string{audience}}}
	answer, err := p.reviews.Create(ctx, asked, meta.CreateOptions{})
	if err != nil {
		return Caller{}, err
	}
	found, err := reviewed(answer.Status, audience)
	if err != nil {
		return Caller{}, err
	}
	p.remember(key, found)
	return found, nil
}

func (p *Programs) remember(key [sha256.Size]byte, found Caller) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.known) >= mostRemembered {
		clear(p.known)
	}
	p.known[key] = program{found, time.Now().Add(remembered)}
}

func reviewed(status authentication.TokenReviewStatus, audience string) (Caller, error) {
	account, ours := strings.CutPrefix(status.User.Username, accountPrefix)
	pod, uid := status.User.Extra[podName], status.User.Extra[podUID]
	switch {
	case !status.Authenticated:
		return Caller{}, Refused{"the API server does not know the token"}
	case !slices.Contains(status.Audiences, audience):
		return Caller{}, Refused{"the token is not meant for this gateway (audience)"}
	case !ours:
		return Caller{}, Refused{"the token is no service account's"}
	case len(pod) != 1 || len(uid) != 1:
		// A token that is bound to nothing outlives whoever it was stolen from.
		return Caller{}, Refused{"the token is bound to no pod"}
	}
	name := strings.Replace(account, ":", "/", 1)
	return Caller{Kind: Program, Subject: status.User.Username, Name: name, Account: name, Pod: pod[0]}, nil
}
