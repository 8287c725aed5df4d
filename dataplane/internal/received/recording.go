package received

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/internal/jfr"
)

// Convert makes profiles of a recording of the JVM.
type Convert func(ctx context.Context, recording jfr.Recording) ([]jfr.Profile, error)

// recording takes what the agent for Java pushes: events of all kinds, CPU time among them even where only the wall
// clock was asked for.
func (r *Receiver) recording(ctx context.Context, parts map[string][]byte, given url.Values) *refusal {
	if len(parts["jfr"]) == 0 {
		return malformed(errors.New("there is no recording"))
	}
	rate, err := strconv.ParseInt(given.Get("sampleRate"), 10, 32)
	if err != nil || rate <= 0 {
		rate = jfr.DefaultRate
	}
	end, source := moment(given.Get("until"), r.now()), visiting(ctx).source
	found, err := r.jfr(ctx, jfr.Recording{
		Events: parts["jfr"], Contexts: parts["labels"], Start: moment(given.Get("from"), end), End: end, Rate: rate,
		WithoutCPU: !source.WantsCPU(),
	})
	if err != nil {
		return unread(err)
	}
	var refused *refusal
	for _, one := range found {
		if one.Pprof == nil {
			r.metrics.cpuDropped.WithLabelValues(source.Service.Name).Inc()
			continue
		}
		// One that is too large takes no other with it.
		if no := r.take(source, one.Pprof, "jfr", func(*profile.Profile) (string, error) { return one.Name, nil }); no != nil {
			refused = no
		}
	}
	return refused
}

func unread(err error) *refusal {
	switch {
	case errors.Is(err, jfr.ErrUnavailable):
		return &refusal{http.StatusServiceUnavailable, "jfr-unavailable", err.Error()}
	case errors.Is(err, jfr.ErrMemory):
		return &refusal{http.StatusRequestEntityTooLarge, "jfr-memory", err.Error()}
	case errors.Is(err, jfr.ErrTime):
		return &refusal{http.StatusRequestEntityTooLarge, "jfr-time", err.Error()}
	}
	return malformed(err)
}
