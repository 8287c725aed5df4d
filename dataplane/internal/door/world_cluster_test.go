package door

import (
	"context"
	"strings"
	"sync"

	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flameplane.dev/dataplane/internal/grants"
	"flameplane.dev/dataplane/internal/settings"
)

// reviews is the part of an API server that knows service accounts' tokens.
type reviews struct {
	mutex sync.Mutex
	known map[string]authentication.UserInfo
}

func (r *reviews) know(token, account, pod string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known == nil {
		r.known = map[string]authentication.UserInfo{}
	}
	user := authentication.UserInfo{Username: "system:serviceaccount:" + strings.Replace(account, "/", ":", 1), Extra: map[string]authentication.ExtraValue{}}
	if pod != "" {
		user.Extra["authentication.kubernetes.io/pod-name"] = []string{pod}
		user.Extra["authentication.kubernetes.io/pod-uid"] = []string{"uid-of-" + pod}
	}
	r.known[token] = user
}

func (r *reviews) Create(
	_ context.Context, asked *authentication.TokenReview, _ meta.CreateOptions,
) (*authentication.TokenReview, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	user, ok := r.known[asked.Spec.Token]
	return &authentication.TokenReview{Status: authentication.TokenReviewStatus{
		Authenticated: ok, User: user, Audiences: asked.Spec.Audiences,
	}}, nil
}

// memory uses grants up for all replicas of a test.
type memory struct {
	mutex sync.Mutex
	used  map[string]bool
}

func newMemory() *memory { return &memory{used: map[string]bool{}} }

func (m *memory) Use(_ context.Context, grant *settings.Grant, _ string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.used[grant.Name()] {
		return grants.ErrUsed
	}
	m.used[grant.Name()] = true
	return nil
}
