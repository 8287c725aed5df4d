package door

import (
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"flameplane.dev/dataplane/internal/settings"
)

// limits hold each tenant to its own share.
type limits struct {
	mutex   sync.Mutex
	tenants map[string]*share
}

type share struct {
	reads, pushes *rate.Limiter
	queries       int
}

func newLimits() *limits { return &limits{tenants: map[string]*share{}} }

// enter takes a place for a call; the function gives it back.
func (l *limits) enter(tenant string, kind Kind, bounds settings.Limits) (func(), error) {
	if kind == Own || tenant == "" {
		return func() {}, nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	one := l.tenants[tenant]
	if one == nil {
		one = &share{}
		l.tenants[tenant] = one
	}
	limiter, each := &one.reads, bounds.RequestsPerSecond
	if kind == Push {
		limiter, each = &one.pushes, bounds.PushesPerSecond
	}
	if *limiter == nil || (*limiter).Limit() != rate.Limit(each) { // new, or the settings changed
		*limiter = rate.NewLimiter(rate.Limit(each), 2*each)
	}
	if !(*limiter).Allow() {
		return nil, refuse(tooMuch, "rate", "too many requests of this tenant; try again in a second")
	}
	if kind == Push {
		return func() {}, nil
	}
	if one.queries >= bounds.ConcurrentQueries {
		return nil, refuse(tooMuch, "concurrency", "too many queries of this tenant at once; try again in a second")
	}
	one.queries++
	return func() {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		one.queries--
	}, nil
}

// strays are those whose tokens do not count, by address, or by subject where it is known. Each such answer is a line on
// disk: who keeps asking gets no answer any more, so that nobody can fill the disk of the audit log and then read unseen.
type strays struct {
	mutex     sync.Mutex
	known     map[string]*rate.Limiter
	perSecond rate.Limit
	burst     int
}

const (
	straysPerSecond = 5
	straysBurst     = 100
	mostStrays      = 10_000 // that are remembered
	// Of one person. A dashboard that is left open asks fifty times at once, again and again.
	expiredPerSecond = 20
	expiredBurst     = 200
	// Of one pod, person or job. A dashboard asks fifty times at once; a node pushes once for each tenant.
	callsPerSecond = 100
	callsBurst     = 1000
)

func newStrays(perSecond rate.Limit, burst int) *strays {
	return &strays{known: map[string]*rate.Limiter{}, perSecond: perSecond, burst: burst}
}

// seen counts one. For one too many the connection is cut, which is no answer.
func (s *strays) seen(who string) {
	s.mutex.Lock()
	if len(s.known) >= mostStrays {
		clear(s.known)
	}
	one := s.known[who]
	if one == nil {
		one = rate.NewLimiter(s.perSecond, s.burst)
		s.known[who] = one
	}
	s.mutex.Unlock()
	if !one.AllowN(time.Now(), 1) {
		panic(http.ErrAbortHandler)
	}
}

// counted is a body that knows how much of it was read.
type counted struct {
	io.ReadCloser
	read int64
}

func (c *counted) Read(into []byte) (int, error) {
	n, err := c.ReadCloser.Read(into)
	c.read += int64(n)
	return n, err
}
