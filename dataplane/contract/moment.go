package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Grid is what a base is rounded down to. Backends align points to the epoch, so every step that divides it gives the
// same points whenever it is played. It is short because a push older than an hour is refused, and the oldest profile of
// the corpus is 40 minutes before its base.
const Grid = 10 * time.Minute

// Base is the base of a play at this moment.
func Base(now time.Time) time.Time { return now.UTC().Truncate(Grid) }

var reference = regexp.MustCompile(`\$\{(\w+)((?: [^}]*)?)\}`)

// expand replaces references in every string of a request:
//
//	${ms -30m}  ${s -30m}  ${ns -30m}   a moment, as milliseconds, seconds or nanoseconds since the epoch
//	${profile go-cpu -30m}              a file of profiles/ that was taken then, compressed, in base64
func (p *Play) expand(value any) (any, error) {
	switch v := value.(type) {
	case string:
		var failed error
		done := reference.ReplaceAllStringFunc(v, func(one string) string {
			found := reference.FindStringSubmatch(one)
			text, err := p.refer(found[1], strings.TrimSpace(found[2]))
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", one, err)
			}
			return text
		})
		return done, failed
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, held := range v {
			one, err := p.expand(held)
			if err != nil {
				return nil, err
			}
			out[key] = one
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			one, err := p.expand(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = one
		}
		return out, nil
	}
	return value, nil
}

func (p *Play) refer(kind, argument string) (string, error) {
	if kind == "profile" {
		packed, err := p.profile(argument)
		return encoded(packed), err
	}
	at, err := p.moment(argument)
	if err != nil {
		return "", err
	}
	switch kind {
	case "ms":
		return strconv.FormatInt(at.UnixMilli(), 10), nil
	case "s":
		return strconv.FormatInt(at.Unix(), 10), nil
	case "ns":
		return strconv.FormatInt(at.UnixNano(), 10), nil
	}
	return "", fmt.Errorf("%q is no reference; valid: ms, s, ns, profile", kind)
}

func (p *Play) moment(offset string) (time.Time, error) {
	if offset == "" {
		return p.base, nil
	}
	by, err := time.ParseDuration(offset)
	if err != nil {
		return p.base, fmt.Errorf("%q is no offset; valid: -30m, 90s", offset)
	}
	return p.base.Add(by), nil
}

// moments are the fields of answers that hold one, in milliseconds, seconds (render) or nanoseconds (pprof). By name, since
// a value of some seconds in nanoseconds looks like a moment too.
var moments = []string{"timestamp", "timestamps", "startTime", "start", "end", "timeNanos", "oldestProfileTime", "newestProfileTime"}

// offsets replaces moments by offsets from the base.
func (p *Play) offsets(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			if !slices.Contains(moments, key) {
				v[key] = p.offsets(v[key])
				continue
			}
			if list, ok := v[key].([]any); ok {
				for i := range list {
					list[i] = p.offset(list[i])
				}
				continue
			}
			v[key] = p.offset(v[key])
		}
	case []any:
		for i := range v {
			v[i] = p.offsets(v[i])
		}
	}
	return value
}

func (p *Play) offset(value any) any {
	var count int64
	switch v := value.(type) {
	case string: // of int64, in JSON of protobuf
		parsed, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return value
		}
		count = parsed
	case json.Number:
		parsed, err := v.Int64()
		if err != nil {
			return value
		}
		count = parsed
	default:
		return value
	}
	return p.since(count)
}

// since writes a moment of any unit as an offset; what is none stays as it is.
func (p *Play) since(count int64) string {
	var at time.Time
	switch {
	case count > 1e17:
		at = time.Unix(0, count)
	case count > 1e11:
		at = time.UnixMilli(count)
	case count > 1e8:
		at = time.Unix(count, 0)
	default:
		return strconv.FormatInt(count, 10)
	}
	return "base" + signed(at.Sub(p.base))
}

func signed(by time.Duration) string {
	if by < 0 {
		return by.String()
	}
	return "+" + by.String()
}
