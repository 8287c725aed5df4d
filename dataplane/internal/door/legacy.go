package door

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// plainly serves a path of Pyroscope's older HTTP API: “read“ decodes the request and returns the one that is sent in
// its place, to the address of “base“.
func (d *Door) plainly(method, operation, base string, read func(r *http.Request, now time.Time) (*Call, *http.Request, error)) route {
	serve := func(w http.ResponseWriter, r *http.Request) {
		one := visiting(r.Context())
		call, forwarded, err := read(r, d.Now())
		if err != nil {
			d.refused(w, r, err)
			return
		}
		decision, err := d.admit(one, call)
		if err != nil {
			d.refused(w, r, err)
			return
		}
		forwarded.Header.Set(tenantHeader, decision.Tenant)
		status, kind, answer, err := d.Backend.plain(forwarded.WithContext(r.Context()), base, one.state.Gateway.Limits.AnswerMegabytes)
		if err == nil && decision.Grant != nil && status != http.StatusOK {
			err = refuse(unavailable, "backend", "the backend gave no profile; the grant is still good")
		}
		if err == nil {
			if decision.Grant != nil {
				answer = append([]byte("// flameplane export grant "+decision.Grant.Name()+"\n"), answer...) // dot: a comment
			}
			err = d.use(r.Context(), one, decision)
		}
		if err != nil {
			d.refused(w, r, err)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}
	return route{method, operation, http.HandlerFunc(serve), true}
}

// plain sends a request to the backend and reads its answer as a whole.
func (b *Backend) plain(request *http.Request, base string, mostMegabytes int) (int, string, []byte, error) {
	to, err := url.Parse(base)
	if err != nil {
		return 0, "", nil, err
	}
	request.URL.Scheme, request.URL.Host, request.Host = to.Scheme, to.Host, to.Host
	client := b.client
	if visiting(request.Context()).pushes() {
		client = b.storing
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", nil, refuse(unavailable, "backend", "the backend cannot be reached")
	}
	defer response.Body.Close()
	most := int64(mostMegabytes) << 20
	answer, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if errors.As(err, new(*refusal)) {
		return 0, "", nil, err // there is no memory for it
	}
	if err != nil || int64(len(answer)) > most {
		return 0, "", nil, refuse(unavailable, "backend", "the backend's answer was cut off or is too large")
	}
	return response.StatusCode, response.Header.Get("Content-Type"), answer, nil
}

const maxNodes = "maxNodes"

// render reads GET /pyroscope/render: one flame graph as JSON, or a whole profile as dot.
func render(r *http.Request, now time.Time) (*Call, *http.Request, error) {
	given, err := parameters(r, "query", "from", "until", "format", "max-nodes", maxNodes, "groupBy", "aggregation")
	if err != nil {
		return nil, nil, err
	}
	call := &Call{Kind: View, Windowed: true, Format: flamegraph}
	switch given.Get("format") {
	case "", "json":
		given.Set("format", "json")
	case dot:
		call.Kind, call.Format = Export, dot
	default:
		return nil, nil, invalid("format is %q; valid: json, dot", given.Get("format"))
	}
	if err := visiting(r.Context()).patterns(r.Context(), given.Get("query")); err != nil {
		return nil, nil, err
	}
	if err := call.side(given, now, "query", "from", "until"); err != nil {
		return nil, nil, err
	}
	return call, get(r.URL.Path, given), call.nodes(given)
}

// renderDiff reads GET /pyroscope/render-diff.
func renderDiff(r *http.Request, now time.Time) (*Call, *http.Request, error) {
	given, err := parameters(r, "leftQuery", "leftFrom", "leftUntil", "rightQuery", "rightFrom", "rightUntil", "format", "max-nodes", maxNodes)
	if err != nil {
		return nil, nil, err
	}
	if format := given.Get("format"); format != "" && format != "json" {
		return nil, nil, invalid("format is %q; valid: json", format)
	}
	if err := visiting(r.Context()).patterns(r.Context(), given.Get("leftQuery"), given.Get("rightQuery")); err != nil {
		return nil, nil, err
	}
	call := &Call{Kind: View, Windowed: true, Format: flamegraph}
	for _, side := range []string{"left", "right"} {
		if err := call.side(given, now, side+"Query", side+"From", side+"Until"); err != nil {
			return nil, nil, err
		}
	}
	return call, get(r.URL.Path, given), call.nodes(given)
}

// parameters are those of the query, each known and given once at the most: two programs could take another of two.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query cannot be read")
	}
	for key, values := range given {
		if !slices.Contains(known, key) {
			return nil, invalid("the parameter %q is none; valid: %s", cut(key, 40), strings.Join(known, ", "))
		}
		if len(values) != 1 {
			return nil, invalid("the parameter %s is given %d times", key, len(values))
		}
	}
	return given, nil
}

// side reads a query and its window, and writes both anew.
func (c *Call) side(given url.Values, now time.Time, query, from, until string) error {
	matchers, err := selectors.ParseMetricSelector(given.Get(query))
	if err != nil {
		return invalid("%s cannot be read: %v", query, err)
	}
	selector, kind := &Selector{}, ""
	for _, matcher := range matchers {
		switch {
		case matcher.Name != labels.MetricName:
			selector.matchers = append(selector.matchers, matcher)
		case matcher.Type != labels.MatchEqual || kind != "":
			return invalid("%s names no single profile type", query)
		default:
			kind = matcher.Value
		}
	}
	if kind == "" || c.Type != "" && c.Type != kind {
		return invalid("%s has to name the profile type, and both sides of a difference the same", query)
	}
	start, err := moment(given.Get(from), now)
	if err != nil {
		return err
	}
	end, err := moment(given.Get(until), now)
	if err != nil {
		return err
	}
	c.Type, c.Selectors = kind, append(c.Selectors, selector)
	if c.Start.IsZero() || start.Before(c.Start) {
		c.Start = start
	}
	if end.After(c.End) {
		c.End = end
	}
	typed := append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, kind)}, selector.matchers...)
	given.Set(query, (&Selector{typed}).String())
	given.Set(from, strconv.FormatInt(start.Unix(), 10))
	given.Set(until, strconv.FormatInt(end.Unix(), 10))
	return nil
}

func (c *Call) nodes(given url.Values) error {
	for _, key := range []string{"max-nodes", maxNodes} {
		if text := given.Get(key); text != "" {
			value, err := strconv.ParseInt(text, 10, 32)
			if err != nil || value < 0 {
				return invalid("%s is %q; it must be a whole number", key, cut(text, 20))
			}
			c.MaxNodes = max(c.MaxNodes, value)
		}
	}
	return nil
}

var ago = regexp.MustCompile(`^now(?:-(\d{1,6})([smhd]))?$`)

// moment reads a time: seconds or milliseconds since the epoch, `now`, or `now-1h`. Nothing at all is now.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if found := ago.FindStringSubmatch(text); found != nil {
		count, _ := strconv.Atoi(found[1]) // of digits, or nothing
		unit := map[string]time.Duration{"": 0, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[found[2]]
		return epoch(now.Add(-time.Duration(count)*unit).Unix(), text, now)
	}
	value, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || value <= 0:
		return now, invalid("%q is no time; valid: seconds since the epoch, now, now-1h", cut(text, 20))
	case value >= 1e12:
		return time.UnixMilli(value), nil
	}
	return epoch(value, text, now)
}

// epoch takes seconds of ten digits alone: eight are a date to Pyroscope (YYYYMMDD), which would look elsewhere.
func epoch(seconds int64, text string, now time.Time) (time.Time, error) {
	if seconds < 1e9 {
		return now, invalid("%q is before 2001; valid: seconds since the epoch, now, now-1h", cut(text, 20))
	}
	return time.Unix(seconds, 0), nil
}

func get(path string, given url.Values) *http.Request {
	return &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{Path: path, RawQuery: given.Encode()}}
}

func send(path string, given url.Values, kind string, body []byte) *http.Request {
	to := fmt.Sprintf("http://backend%s?%s", path, given.Encode()) // the host is set when it is sent
	request, _ := http.NewRequest(http.MethodPost, to, bytes.NewReader(body))
	request.Header.Set("Content-Type", kind)
	return request
}
