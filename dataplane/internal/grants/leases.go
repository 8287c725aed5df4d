// Package grants uses grants up, once for all replicas.
package grants

import (
	"context"
	"errors"

	coordination "k8s.io/api/coordination/v1"
	kubeerrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flameplane.dev/dataplane/internal/settings"
)

// ErrUsed says that a grant was used before.
var ErrUsed = errors.New("the grant was used already")

// Store uses grants up. Use returns nil to exactly one caller ever, ErrUsed to all others; any other error leaves open
// whether the grant is used up.
type Store interface {
	Use(ctx context.Context, grant *settings.Grant, by string) error
}

// Leases is the part of the Kubernetes API that grants are used up by: creating an object works exactly once, whichever
// replica comes first. The gateway's Role may create Leases and read them, not change or delete them.
type Leases interface {
	Create(context.Context, *coordination.Lease, meta.CreateOptions) (*coordination.Lease, error)
}

// NewLeases is a Store of Leases.
func NewLeases(leases Leases) Store { return store{leases} }

const (
	prefix = "export-grant-"
	digest = "flameplane.dev/grant-sha256"
)

type store struct{ leases Leases }

func (s store) Use(ctx context.Context, grant *settings.Grant, by string) error {
	lease := &coordination.Lease{
		ObjectMeta: meta.ObjectMeta{Name: prefix + grant.Name(), Annotations: map[string]string{digest: grant.Digest()}},
		Spec:       coordination.LeaseSpec{HolderIdentity: &by},
	}
	_, err := s.leases.Create(ctx, lease, meta.CreateOptions{})
	if kubeerrors.IsAlreadyExists(err) {
		return ErrUsed
	}
	return err
}

// None is a Store where there is no API server: no grant is good.
type None struct{}

// Use fails.
func (None) Use(context.Context, *settings.Grant, string) error {
	return errors.New("there is no Kubernetes to use grants up by")
}
