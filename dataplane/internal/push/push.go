package push

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	"github.com/google/uuid"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	callTime     = 20 * time.Second
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
	maxSeries    = 500 // in a request; the gateway takes 1000
)

// Series is one profile with its labels; the label team says whose it is.
type Series struct {
	Name    string // process_cpu, off_cpu
	Labels  map[string]string
	Profile *profile.Profile
	Samples uint64 // that are lost with it

	packed []byte
}

// Pack writes the profile as it is sent and lets go of it: what waits to be added takes less memory so.
func (s *Series) Pack() error {
	if s.packed != nil {
		return nil
	}
	var out bytes.Buffer
	if err := s.Profile.Write(&out); err != nil { // gzip
		return fmt.Errorf("write the profile of %s: %w", s.Labels["service_name"], err)
	}
	s.packed, s.Profile = out.Bytes(), nil
	return nil
}

// Size is how many bytes are sent of it, once it is packed.
func (s *Series) Size() int { return len(s.packed) }

// Pusher sends in the background.
type Pusher struct {
	client  pushv1connect.PusherServiceClient
	token   string // file, read for every request: the kubelet replaces it
	queue   *queue
	wait    func(tries int) time.Duration
	dropped *prometheus.CounterVec
	failed  *prometheus.CounterVec
	sent    prometheus.Counter
}

// New sends to a gateway. “dropped“ counts samples by reason; at most “limit“ bytes of profiles wait.
func New(gateway, token string, limit int, dropped *prometheus.CounterVec, registry prometheus.Registerer) *Pusher {
	p := &Pusher{
		client: pushv1connect.NewPusherServiceClient(&http.Client{Timeout: callTime}, gateway),
		token:  token, queue: newQueue(limit), wait: backoff, dropped: dropped,
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flameplane_agent_push_failures_total", Help: "Requests to the gateway that failed, by its code.",
		}, []string{"code"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flameplane_agent_pushed_profiles_total", Help: "Profiles that the gateway took.",
		}),
	}
	registry.MustRegister(p.failed, p.sent, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flameplane_agent_push_queue_bytes", Help: "Profiles that wait to be sent.",
	}, func() float64 { return float64(p.queue.size()) }))
	return p
}

// Add queues profiles: one request for each team, or more where they are many.
func (p *Pusher) Add(all []Series) error {
	byTeam := map[string][]Series{}
	for _, each := range all {
		team := each.Labels["team"]
		byTeam[team] = append(byTeam[team], each)
	}
	for _, team := range byTeam {
		for some := range slices.Chunk(team, maxSeries) {
			one, err := encode(some)
			if err != nil {
				return err
			}
			for _, old := range p.queue.add(one) {
				p.drop("buffer", old)
			}
		}
	}
	return nil
}

func encode(all []Series) (*request, error) {
	one := &request{message: &pushv1.PushRequest{}, series: len(all)}
	for _, each := range all {
		if err := each.Pack(); err != nil {
			return nil, err
		}
		one.bytes += each.Size()
		one.samples += each.Samples
		series := &pushv1.RawProfileSeries{
			Labels:  []*typesv1.LabelPair{{Name: "__name__", Value: each.Name}},
			Samples: []*pushv1.RawSample{{RawProfile: each.packed, ID: uuid.NewString()}},
		}
		for name, value := range each.Labels {
			series.Labels = append(series.Labels, &typesv1.LabelPair{Name: name, Value: value})
		}
		one.message.Series = append(one.message.Series, series)
	}
	return one, nil
}

// Run sends until the context ends.
func (p *Pusher) Run(ctx context.Context) {
	for {
		one := p.queue.first()
		if one == nil {
			select {
			case <-ctx.Done():
				return
			case <-p.queue.filled:
			}
			continue
		}
		if p.try(ctx, one) {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.wait(one.tries)):
		}
	}
}

// Flush sends what waits, each once, until the context ends. What is left then is dropped, and counted.
func (p *Pusher) Flush(ctx context.Context) {
	for one := p.queue.first(); one != nil; one = p.queue.first() {
		if ctx.Err() != nil || !p.try(ctx, one) {
			p.queue.done(one)
			p.drop("stopped", one)
		}
	}
}

// try is whether the request is done with: taken, or refused for good.
func (p *Pusher) try(ctx context.Context, one *request) bool {
	one.tries++
	err := p.send(ctx, one)
	if err == nil {
		p.queue.done(one)
		p.sent.Add(float64(one.series))
		return true
	}
	code := connect.CodeOf(err)
	p.failed.WithLabelValues(code.String()).Inc()
	if lasting(code) {
		p.queue.done(one)
		p.drop("refused", one)
		slog.Error("the gateway refused profiles", "code", code.String(), "err", err)
		return true
	}
	if one.tries == 1 {
		slog.Warn("profiles wait: the gateway does not take them", "code", code.String(), "err", err)
	}
	return false
}

func (p *Pusher) send(ctx context.Context, one *request) error {
	token, err := os.ReadFile(p.token)
	if err != nil {
		return connect.NewError(connect.CodeUnavailable, fmt.Errorf("the token of the gateway: %w", err))
	}
	call := connect.NewRequest(one.message)
	call.Header().Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	_, err = p.client.Push(ctx, call)
	return err
}

// lasting are the codes of a request that would be refused again. A token that is refused is replaced in time.
func lasting(code connect.Code) bool {
	return slices.Contains([]connect.Code{
		connect.CodeInvalidArgument, connect.CodePermissionDenied, connect.CodeNotFound, connect.CodeUnimplemented,
		connect.CodeFailedPrecondition, connect.CodeOutOfRange, connect.CodeAlreadyExists,
	}, code)
}

func (p *Pusher) drop(reason string, one *request) {
	p.dropped.WithLabelValues(reason).Add(float64(one.samples))
}

// backoff doubles, and is spread, so that the nodes do not come back all at once.
func backoff(tries int) time.Duration {
	long := min(firstBackoff<<min(tries-1, 10), maxBackoff)
	return long/2 + rand.N(long/2)
}
