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
	end := moment(given.Get("until"), r.now())
	found, err := r.jfr(ctx, jfr.Recording{
		Events: parts["jfr"], Contexts: parts["labels"], Start: moment(given.Get("from"), end), End: end, Rate: rate,
	})
	if errors.Is(err, jfr.ErrUnavailable) {
		return &refusal{http.StatusServiceUnavailable, "jfr-unavailable", err.Error()}
	}
	if err != nil {
		return malformed(err)
	}
	for _, one := range found {
		if no := r.take(visiting(ctx).source, one.Pprof, "jfr", func(*profile.Profile) (string, error) { return one.Name, nil }); no != nil {
			return no
		}
	}
	return nil
}
