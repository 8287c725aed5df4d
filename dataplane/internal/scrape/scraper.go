package scrape

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/intake"
)

// Node says which pods are scraped.
type Node interface {
	Sources() []identity.Source
}

// Send takes a profile that has a name, and a source. It keeps nothing of the profile.
type Send func(source identity.Source, name string, p *profile.Profile) error

// Scraper has one loop for each pod and type.
type Scraper struct {
	node    Node
	send    Send
	every   time.Duration
	client  *http.Client
	memory  *memory
	metrics *metrics
	places  chan struct{}

	loops  map[target]*loop
	ending sync.WaitGroup
}

// target is what a loop scrapes. One of its containers that starts anew makes it another: what is cumulative begins anew.
type target struct {
	uid        string
	address    netip.AddrPort
	containers string
	kind       string
}

// loop scrapes one target until it is stopped.
type loop struct {
	stop   context.CancelFunc
	mutex  sync.Mutex
	source identity.Source // whose labels and declaration may change meanwhile
}

// New scrapes “every“ so often.
func New(node Node, send Send, every time.Duration, registry prometheus.Registerer) *Scraper {
	remembered := newMemory(mostRemembered)
	return &Scraper{
		node: node, send: send, every: every, client: client(), memory: remembered, metrics: newMetrics(registry, remembered),
		places: make(chan struct{}, atOnce), loops: map[target]*loop{},
	}
}

// Look starts and stops loops, as the pods and the declarations are now. It is called often, and not at once with itself.
func (s *Scraper) Look(ctx context.Context) {
	there := map[target]bool{}
	for _, source := range s.node.Sources() {
		for _, each := range wanted(source) {
			one := target{
				uid: source.UID, address: netip.AddrPortFrom(source.Address, uint16(source.Service.PprofPort)),
				containers: strings.Join(slices.Sorted(maps.Keys(source.Containers)), " "), kind: each,
			}
			there[one] = true
			if running, ok := s.loops[one]; ok {
				running.mutex.Lock()
				running.source = source
				running.mutex.Unlock()
				continue
			}
			own, stop := context.WithCancel(ctx)
			started := &loop{stop: stop, source: source}
			s.loops[one] = started
			s.ending.Go(func() { s.run(own, one, started) })
		}
	}
	for one, running := range s.loops {
		if !there[one] {
			running.stop()
			delete(s.loops, one)
		}
	}
	s.metrics.targets.Set(float64(len(s.loops)))
}

// Wait returns once all loops have ended; their context has to.
func (s *Scraper) Wait() { s.ending.Wait() }

func (s *Scraper) run(ctx context.Context, one target, running *loop) {
	asked := kinds[one.kind]
	var between *delta
	if asked.cumulative != nil {
		between = newDelta(s.memory, one.uid, asked.cumulative)
		defer s.memory.take(between) // others have room for it
	}
	failing, told := false, false
	next := time.NewTimer(rand.N(s.every)) // not all at once
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(s.every)
		running.mutex.Lock()
		source := running.source
		running.mutex.Unlock()
		outcome, err := s.once(ctx, source, one.address, asked, between)
		if ctx.Err() != nil {
			return
		}
		s.metrics.scrapes.WithLabelValues(source.Service.Name, one.kind, outcome).Inc()
		if err != nil && !failing {
			slog.Warn("a program cannot be scraped", "pod", source.Labels["pod"], "type", one.kind, "err", err)
		}
		failing = err != nil
		if outcome == "forgotten" && !told {
			told = true
			slog.Warn("a profile was forgotten, and no difference to it is sent: those of all pods take too much memory",
				"pod", source.Labels["pod"], "type", one.kind)
		}
	}
}

// once scrapes one profile, and says what came of it.
func (s *Scraper) once(
	ctx context.Context, source identity.Source, address netip.AddrPort, asked kind, between *delta,
) (outcome string, err error) {
	now := time.Now()
	outcome = "sent"
	use := func(p *profile.Profile) error {
		p.TimeNanos = now.UnixNano()
		if between != nil {
			var err error
			if outcome, err = between.since(p, now); outcome != "sent" {
				return err
			}
		}
		if len(p.Sample) == 0 {
			outcome = "empty"
			return nil
		}
		intake.Clean(p, now)
		compact(p)
		return s.send(source, asked.name, p)
	}
	err = s.fetch(ctx, address, asked, s.every, func(text []byte) error { return intake.Use(text, mostProfile, use) })
	if err != nil {
		return "failed", err
	}
	return outcome, nil
}
