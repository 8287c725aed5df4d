package main

import (
	"context"
	"time"
)

const (
	loadInterval = 100 * time.Millisecond
	// The pause is this many times the work before it, so the load stays near 3 % of a core on any machine.
	restPerWork = 30
)

// generateLoad checks out carts until ctx ends, so that a service without visitors has profiles too.
func generateLoad(ctx context.Context, t *till) {
	for {
		start := time.Now()
		t.checkout(randomCart())
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(loadInterval, restPerWork*time.Since(start))):
		}
	}
}
