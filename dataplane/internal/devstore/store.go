// Package devstore stands in for Pyroscope on a developer's machine and in tests: one process, one file, the calls that
// clients of this platform make. What it is not is in docs/devstore.md; for everything else there is Pyroscope.
package devstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"
)

// Options of a store. Data alone is required.
type Options struct {
	Data          string               // folder of the database
	Overrides     string               // limits per tenant: in the form of Pyroscope's -runtime-config.file
	Limits        *Limits              // of tenants that the file does not name, and of keys that it leaves out
	BodyMegabytes int                  // of one request, unpacked
	SweepEvery    time.Duration        // how often expired profiles are deleted
	Registry      *prometheus.Registry // what /metrics shows
	Now           func() time.Time
}

// Defaults of Options. Pyroscope takes bodies of 256 MiB (`-distributor.ingestion-body-limit-mb`), and over gRPC of 100; the
// gateway takes 16, so that only who pushes around it meets this one.
const (
	DefaultBodyMegabytes = 64
	DefaultSweepEvery    = time.Minute
)

const (
	reloadEvery  = 2 * time.Second
	lockTime     = 2 * time.Second // another process that has the file open
	batchTime    = 3 * time.Millisecond
	mostMerges   = 4       // merges at once; each holds one tree
	mapAtFirst   = 1 << 30 // addresses, not memory: growing the map waits for every reader
	databaseFile = "devstore.db"
)

// Store is an open database with everything that is served from it.
type Store struct {
	options Options
	db      *bolt.DB
	limits  *overrides
	rates   rates
	metrics *metrics
	merges  chan struct{}
	handler http.Handler
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens the database of a folder, and makes both when they are missing.
func Open(options Options) (*Store, error) {
	options = options.filled()
	if options.Data == "" {
		return nil, errors.New("no folder for the data is named")
	}
	limits, err := readOverrides(options.Overrides, *options.Limits)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(options.Data, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(options.Data, databaseFile)
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockTime, FreelistType: bolt.FreelistMapType, InitialMmapSize: mapAtFirst,
	})
	if errors.Is(err, bolt.ErrTimeout) {
		return nil, fmt.Errorf("%s is open in another process; stop it, or name another folder", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	db.MaxBatchDelay = batchTime
	if err := checkFormat(db); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{options: options, db: db, limits: limits, merges: make(chan struct{}, mostMerges), stop: stop}
	s.metrics = newMetrics(options.Registry, db)
	s.handler = s.routes()
	s.running.Go(func() { s.every(ctx, reloadEvery, s.reload) })
	s.running.Go(func() { s.every(ctx, options.SweepEvery, s.sweepOnce) })
	return s, nil
}

func (o Options) filled() Options {
	if o.Limits == nil {
		limits := DefaultLimits()
		o.Limits = &limits
	}
	if o.BodyMegabytes == 0 {
		o.BodyMegabytes = DefaultBodyMegabytes
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = DefaultSweepEvery
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Handler serves every path, in HTTP/1.1 and in HTTP/2 (gRPC).
func (s *Store) Handler() http.Handler { return s.handler }

// Close ends what runs beside the handler and closes the database. Whoever serves the handler ends that first.
func (s *Store) Close() error {
	s.stop()
	s.running.Wait()
	return s.db.Close()
}

func (s *Store) every(ctx context.Context, period time.Duration, do func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}

func (s *Store) reload(context.Context) {
	changed, err := s.limits.look()
	switch {
	case err != nil:
		slog.Error("the limits cannot be read; the last good ones stay", "err", err)
		s.metrics.reloads.WithLabelValues("failed").Inc()
	case changed:
		slog.Info("read the limits anew")
		s.metrics.reloads.WithLabelValues("read").Inc()
	}
}

func (s *Store) sweepOnce(ctx context.Context) {
	if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
		slog.Error("expired profiles could not be deleted", "err", err)
	}
}
