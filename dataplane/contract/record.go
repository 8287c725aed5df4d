package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

const (
	pauseTime  = 3 * time.Second
	recordTime = 4 * time.Minute
)

// Record plays the suite against a real Pyroscope and returns what it answered, once no answer has changed for as long
// as “calm“ and the blocks have been compacted: by then every answer is what it stays. One that never stops changing is
// none that a contract can hold.
func Record(ctx context.Context, play *Play, suite []*Group, calm time.Duration, say io.Writer) (Answers, error) {
	start := time.Now()
	written, err := play.Write(ctx, suite)
	if err != nil {
		return nil, err
	}
	found, err := play.Read(ctx, suite)
	if err != nil {
		return nil, err
	}
	since := start
	for time.Since(since) < calm || !compacted(found) {
		if err := play.pause(ctx); err != nil {
			return nil, err
		}
		again, err := play.Read(ctx, suite)
		if err != nil {
			return nil, err
		}
		changed, err := changes(found, again)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(say, "%s: %d changes, compacted: %t\n", time.Since(start).Round(time.Second), len(changed), compacted(again))
		if time.Since(start) > recordTime {
			return nil, fmt.Errorf("answers that still change, or are not compacted, after %s:\n%s", recordTime, strings.Join(changed, "\n"))
		}
		if len(changed) > 0 {
			since = time.Now()
		}
		found = again
	}
	maps.Copy(found, written)
	return found, nil
}

// compacted is whether a tenant has blocks of its own. It is what GetProfileStats counts; segments are of all tenants.
func compacted(answers Answers) bool {
	return answers["about"]["stats"][JSON].Body != nil
}

// pause waits, and pushes something: Pyroscope compacts when more arrives.
func (p *Play) pause(ctx context.Context) error {
	tenant := "filler"
	filler := &Case{Call: "push.v1.PusherService/Push", Tenant: &tenant, Body: map[string]any{"series": []any{map[string]any{
		"labels":  []any{map[string]any{"name": "service_name", "value": "filler"}, map[string]any{"name": "__name__", "value": "process_cpu"}},
		"samples": []any{map[string]any{"rawProfile": "${profile go-cpu -5m}"}},
	}}}}
	if _, err := p.ask(ctx, filler, JSON); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pauseTime):
		return nil
	}
}

func changes(before, after Answers) ([]string, error) {
	var found []string
	for group, cases := range after {
		for name, one := range cases {
			for protocol, answer := range one {
				left, err := plainly(before[group][name][protocol])
				if err != nil {
					return nil, err
				}
				right, err := plainly(answer)
				if err != nil {
					return nil, err
				}
				for _, place := range unlike("", left, right) {
					found = append(found, fmt.Sprintf("%s/%s (%s) at %s: %s, then %s", group, name, protocol, place.At, place.Want, place.Got))
				}
			}
		}
	}
	return found, nil
}

// Built asks a Pyroscope which one it is, where it serves /api/v1/status.
func Built(ctx context.Context, admin string) (Recorded, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(admin, "/")+"/api/v1/status/buildinfo", nil)
	if err != nil {
		return Recorded{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Recorded{}, err
	}
	defer response.Body.Close()
	var said struct {
		Data struct{ Version, Revision string }
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil || said.Data.Version == "" {
		return Recorded{}, fmt.Errorf("%s does not say which Pyroscope it is (status %d)", admin, response.StatusCode)
	}
	return Recorded{"Pyroscope", said.Data.Version, said.Data.Revision}, nil
}
