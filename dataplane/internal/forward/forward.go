// Package forward names profiles as what is known of their pods, and gathers them on their way to the gateway.
package forward

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/push"
)

const (
	gathering  = 5 * time.Second
	mostGather = 1 << 20 // bytes that are gathered
)

// Forward gathers what goes out in one request for each team.
type Forward struct {
	pusher        *push.Pusher
	gitRefMissing *prometheus.CounterVec

	mutex  sync.Mutex
	series []push.Series
	bytes  int
}

// New passes on to a pusher, and counts the profiles of pods that name no full git commit by their service.
func New(pusher *push.Pusher, gitRefMissing *prometheus.CounterVec) *Forward {
	return &Forward{pusher: pusher, gitRefMissing: gitRefMissing}
}

// Send keeps nothing of the profile but what is sent of it.
func (f *Forward) Send(source identity.Source, name string, p *profile.Profile) error {
	if !source.GitRef {
		f.gitRefMissing.WithLabelValues(source.Service.Name).Inc()
	}
	one := push.Series{Name: name, Labels: maps.Clone(source.Labels), Profile: p}
	// Delta says that the backend is not to take the difference to the profile before: that has been done.
	one.Labels["__delta__"] = "false"
	for _, sample := range p.Sample {
		one.Samples += uint64(max(sample.Value[0], 0))
	}
	if err := one.Pack(); err != nil {
		return err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.series, f.bytes = append(f.series, one), f.bytes+one.Size()
	if f.bytes > mostGather {
		return f.passOn()
	}
	return nil
}

// passOn has what was gathered sent. The lock is held.
func (f *Forward) passOn() error {
	series := f.series
	f.series, f.bytes = nil, 0
	return f.pusher.Add(series)
}

// Run passes on until the context ends.
func (f *Forward) Run(ctx context.Context) {
	tick := time.NewTicker(gathering)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.Flush()
		}
	}
}

// Flush passes on what was gathered.
func (f *Forward) Flush() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if err := f.passOn(); err != nil {
		slog.Error("profiles cannot be written", "err", err)
	}
}
