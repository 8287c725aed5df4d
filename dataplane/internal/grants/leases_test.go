package grants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	lease "k8s.io/api/coordination/v1"
	kubeerrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/settings"
)

// api names an API server and the gateway's own account there: tests/cluster/test_platform_grants.py gives a real one.
const api = "FLAMEPLANE_GRANTS_API"

const (
	replicas = 2
	askers   = 8 // at once, of each replica
	rounds   = 25
)

// answering is an API server with one answer.
type answering struct {
	err  error
	seen *lease.Lease
}

func (a *answering) Create(_ context.Context, asked *lease.Lease, _ meta.CreateOptions) (*lease.Lease, error) {
	a.seen = asked
	return asked, a.err
}

func TestWhatTheAPIServerSaysDecides(t *testing.T) {
	grant := &settings.Grant{}
	grant.Metadata.Name = "gift"
	down := errors.New("connection refused")
	for said, want := range map[error]error{
		nil: nil, down: down, kubeerrors.NewAlreadyExists(lease.Resource("leases"), "export-grant-gift"): ErrUsed,
	} {
		server := &answering{err: said}
		if err := NewLeases(server).Use(context.Background(), grant, "request"); !errors.Is(err, want) {
			t.Errorf("%v: %v", said, err)
		}
		if server.seen.Name != "export-grant-gift" || *server.seen.Spec.HolderIdentity != "request" {
			t.Errorf("%+v", server.seen)
		}
	}
	if err := (None{}).Use(context.Background(), grant, "request"); err == nil || errors.Is(err, ErrUsed) {
		t.Errorf("without an API server: %v", err)
	}
}

// Whoever asks an API server at the same moment for the same grant: one gets it. Each replica has connections of its own.
func TestOneOfAllReplicasUsesAGrant(t *testing.T) {
	given := os.Getenv(api)
	if given == "" {
		t.Skip("NOT RUN: " + api + " names no API server")
	}
	clients, namespace := connected(t, given)
	for round := range rounds {
		grant := &settings.Grant{}
		grant.Metadata.Name = fmt.Sprintf("race-%d-%d", time.Now().UnixNano(), round)
		outcomes := raced(clients, grant)
		won := 0
		for _, err := range outcomes {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, ErrUsed):
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d used the grant", won, len(outcomes))
		}
		found, err := clients[0].Get(context.Background(), prefix+grant.Name(), meta.GetOptions{})
		if err != nil || found.Annotations[digest] != grant.Digest() {
			t.Fatal(found, err)
		}
		// What is used up stays so: the account that uses grants up can take none back.
		if err := clients[0].Delete(context.Background(), prefix+grant.Name(), meta.DeleteOptions{}); !kubeerrors.IsForbidden(err) {
			t.Fatalf("the gateway may delete a Lease in %s: %v", namespace, err)
		}
	}
}

func raced(clients []coordination.LeaseInterface, grant *settings.Grant) []error {
	outcomes := make([]error, replicas*askers)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range outcomes {
		store := NewLeases(clients[i%replicas])
		done.Go(func() {
			start.Wait()
			outcomes[i] = store.Use(context.Background(), grant, fmt.Sprint("request-", i))
		})
	}
	start.Done()
	done.Wait()
	return outcomes
}

func connected(t *testing.T, given string) ([]coordination.LeaseInterface, string) {
	var said struct{ Host, CA, Token, Namespace string }
	if err := json.Unmarshal([]byte(given), &said); err != nil {
		t.Fatal(err)
	}
	clients := make([]coordination.LeaseInterface, replicas)
	for i := range clients {
		config := &rest.Config{
			Host: said.Host, BearerToken: said.Token, QPS: 1000, Burst: 1000,
			TLSClientConfig: rest.TLSClientConfig{CAData: []byte(said.CA)},
			// client-go shares connections between alike configurations.
			UserAgent: fmt.Sprint("replica-", i),
		}
		client, err := coordination.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = client.Leases(said.Namespace)
	}
	return clients, said.Namespace
}
