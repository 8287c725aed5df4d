package audit

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// Store keeps objects that nobody overwrites or deletes.
type Store interface {
	// Put adds an object. If there is one of that name already it is the same, since names hold a hash of the content.
	Put(ctx context.Context, name string, content []byte) error
}

// Shipper brings the lines of a journal out of the pod, and notes its newest line where the pod cannot change it.
type Shipper struct {
	journal  *Journal
	store    Store
	prefix   string
	metrics  *Metrics
	asked    chan chan<- error // by who waits for an anchor
	anchored uint64
	stop     context.CancelFunc
	stopped  chan struct{}
}

const (
	anchorEvery = 10 * time.Second // while lines are written
	anchorTime  = 5 * time.Second  // an export waits for it
	shipTime    = time.Minute      // of one segment
	shipPause   = time.Second
	longestWait = time.Minute // between attempts that fail
)

// Ship begins to ship, below “prefix“ of the store.
func Ship(journal *Journal, store Store, prefix string, metrics *Metrics) *Shipper {
	ctx, stop := context.WithCancel(context.Background())
	s := &Shipper{
		journal: journal, store: store, prefix: prefix, metrics: metrics,
		asked: make(chan chan<- error), stop: stop, stopped: make(chan struct{}),
	}
	var both sync.WaitGroup
	both.Go(func() { s.keepShipping(ctx) })
	both.Go(func() { s.keepAnchoring(ctx) })
	go func() { both.Wait(); close(s.stopped) }()
	return s
}

// Anchor returns once the newest line, or a later one, is noted in the store. Those who wait at the same moment share one.
func (s *Shipper) Anchor(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.asked <- answer:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return errors.New("the gateway is stopping")
	}
}

// Close ships what is left after the journal was closed, for as long as the context lasts.
func (s *Shipper) Close(ctx context.Context) error {
	s.stop()
	<-s.stopped
	for {
		err := errors.Join(s.anchor(ctx), s.ship(ctx))
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, shipPause)
	}
}

func (s *Shipper) keepShipping(ctx context.Context) {
	wait := shipPause
	for ctx.Err() == nil {
		s.journal.Rotate()
		if err := s.ship(ctx); err != nil {
			wait = min(2*wait, longestWait)
		} else {
			wait = shipPause
		}
		pause(ctx, wait/2+rand.N(wait/2)) // replicas that failed together come back one by one
	}
}

// ship sends closed segments, oldest first.
func (s *Shipper) ship(ctx context.Context) error {
	for _, segment := range s.journal.Unshipped() {
		text, err := os.ReadFile(segment.Path)
		if errors.Is(err, fs.ErrNotExist) {
			slog.Error("lines of the audit log are gone from the disk before they were shipped", "segment", segment.Path)
			s.metrics.failed.WithLabelValues("lines").Inc()
			s.journal.Shipped(segment) // there is nothing to wait for; whoever verifies finds the gap
			continue
		}
		if err == nil {
			err = s.send(ctx, segment, text)
		}
		if err != nil {
			slog.Error("audit lines cannot be shipped", "segment", segment.Path, "err", err)
			s.metrics.failed.WithLabelValues("lines").Inc()
			return err
		}
		s.journal.Shipped(segment)
		s.metrics.shipped.Add(float64(segment.Lines()))
	}
	return nil
}

func (s *Shipper) send(ctx context.Context, segment Segment, text []byte) error {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed) // no time and no name in it: the same lines are the same object
	_, err := writer.Write(text)
	if err = errors.Join(err, writer.Close()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shipTime)
	defer cancel()
	last := segment.Last
	name := fmt.Sprintf("%slines/%s/%012d-%012d-%s.jsonl.gz", s.prefix, last.Replica, segment.First, last.Seq, last.Hash[:16])
	return s.store.Put(ctx, name, packed.Bytes())
}

func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
