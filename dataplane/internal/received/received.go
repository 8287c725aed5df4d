// Package received takes what in-process agents push, each of the pod that it comes from: no program holds a credential,
// and none can write as another.
package received

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/intake"
)

const (
	mostBody    = 4 << 20 // bytes of a request
	mostProfile = 4 << 20 // bytes of a profile, unpacked; the backend takes no more (max_profile_size_bytes)
	atOnce      = 2       // requests whose bodies are in memory
	patience    = 5 * time.Second
)

// Node says whose an address is.
type Node interface {
	At(address netip.Addr) (identity.Source, identity.Refusal)
}

// Send takes a profile that has a name, and a source. It keeps nothing of the profile.
type Send func(source identity.Source, name string, p *profile.Profile) error

// Receiver serves pushes.
type Receiver struct {
	node    Node
	send    Send
	jfr     Convert
	metrics *metrics
	now     func() time.Time

	places *places
}

// New takes pushes. “jfr“ reads recordings of the JVM.
func New(node Node, send Send, jfr Convert, registry prometheus.Registerer) *Receiver {
	return &Receiver{
		node: node, send: send, jfr: jfr, metrics: newMetrics(registry), now: time.Now, places: newPlaces(atOnce, patience),
	}
}

// Handler answers what agents ask for, and nothing else.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /ingest", http.HandlerFunc(r.ingest))
	mux.Handle("POST /pyroscope/ingest", http.HandlerFunc(r.ingest))
	mux.Handle(r.pusher())
	return r.guarded(mux)
}

// refusal is why a push is not taken. The reason is a metric's label.
type refusal struct {
	status int
	reason string
	words  string
}

func (r *refusal) Error() string { return r.words }

func malformed(err error) *refusal {
	if errors.Is(err, intake.ErrTooLarge) || errors.As(err, new(*http.MaxBytesError)) {
		return &refusal{http.StatusRequestEntityTooLarge, "too-large", err.Error()}
	}
	return &refusal{http.StatusBadRequest, "malformed", err.Error()}
}

// visit is one push.
type visit struct {
	http.ResponseWriter
	source  identity.Source
	status  int
	counted bool
}

func (v *visit) WriteHeader(status int) {
	v.status = status
	v.ResponseWriter.WriteHeader(status)
}

type visitKey struct{}

func visiting(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// guarded lets through whom the address proves to be a pod of a declared service, before anything of the body is read.
func (r *Receiver) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		one := &visit{ResponseWriter: w}
		ctx := context.WithValue(request.Context(), visitKey{}, one)
		peer, _ := netip.ParseAddrPort(request.RemoteAddr) // without one it is nobody's
		source, refused := r.node.At(peer.Addr())
		switch {
		case refused == identity.NotListed:
			r.refuse(ctx, &refusal{http.StatusServiceUnavailable, string(refused), "the pods of this node are not known yet"})
			return
		case refused != identity.Taken:
			r.refuse(ctx, &refusal{http.StatusForbidden, string(refused), "no profiles are taken of this address: " + string(refused)})
			return
		}
		if !r.places.enter(ctx, peer.Addr()) {
			r.refuse(ctx, &refusal{http.StatusTooManyRequests, "busy", "too many pushes at once; try again"})
			return
		}
		defer r.places.leave(peer.Addr())
		one.source = source
		request.Body = &counting{http.MaxBytesReader(w, request.Body, mostBody), r.metrics.bytes}
		next.ServeHTTP(one, request.WithContext(ctx))
		if one.status >= http.StatusBadRequest {
			r.count(ctx, &refusal{reason: "malformed"}) // what connect or the list of paths has refused by itself
		}
	})
}

func (r *Receiver) refuse(ctx context.Context, why *refusal) {
	r.count(ctx, why)
	http.Error(visiting(ctx), why.words, why.status)
}

// count counts a push that was refused, once.
func (r *Receiver) count(ctx context.Context, why *refusal) {
	if one := visiting(ctx); !one.counted {
		one.counted = true
		r.metrics.refused.WithLabelValues(why.reason).Inc()
	}
}

// take sends one profile of a source, under the name that it says or “named“ finds.
func (r *Receiver) take(source identity.Source, text []byte, format string, named func(*profile.Profile) (string, error)) *refusal {
	err := intake.Use(text, mostProfile, func(p *profile.Profile) error {
		name, err := named(p) // by the types that it came with
		if err != nil {
			return err
		}
		intake.Clean(p, r.now())
		if !source.WantsCPU() && intake.WithoutCPU(p) {
			r.metrics.cpuDropped.WithLabelValues(source.Service.Name).Inc()
		}
		if len(p.SampleType) == 0 || len(p.Sample) == 0 {
			return nil
		}
		r.metrics.received.WithLabelValues(source.Service.Name, format).Inc()
		return r.send(source, name, p)
	})
	if err != nil {
		return malformed(err)
	}
	return nil
}
