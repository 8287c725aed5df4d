package devstore

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/grafana/pyroscope/api/model/labelset"

	"flameplane.dev/dataplane/internal/profilename"
)

// asks are the parameters of /ingest.
type asks struct {
	labels  map[string]string
	service string
	spy     string
	start   time.Time
	end     time.Time
	rate    int64 // samples a second
}

const defaultRate = 100

// ingest serves POST /ingest, by which the agents for Java, Node.js and Python push: pprof or JFR, in a form or alone.
func (s *Store) ingest(_ http.ResponseWriter, r *http.Request) (int, error) {
	asked, err := s.asked(r)
	if err != nil {
		return http.StatusBadRequest, err
	}
	body, err := readAll(r)
	if err != nil {
		return status(err, http.StatusBadRequest), err
	}
	fields, err := form(r.Header.Get("Content-Type"), body)
	if err != nil {
		return http.StatusUnprocessableEntity, err
	}
	most := s.limits.of(tenantOf(r.Context())).MaxProfileSizeBytes
	name := r.URL.Query().Get("format")
	var all []pushed
	switch {
	case name == "jfr":
		all, err = fromJFR(asked, fields["jfr"], fields["labels"], fields["profile"] == nil, most)
	case name == "pprof" || name == "" && fields["profile"] != nil:
		name = "pprof"
		all, err = fromPprof(asked, fields, most)
	default:
		err = fmt.Errorf("format is %q; valid: pprof, jfr, or a form with the field profile. Pyroscope takes more", name)
	}
	if err != nil {
		s.metrics.discarded.WithLabelValues("malformed").Inc()
		return http.StatusUnprocessableEntity, err
	}
	if len(all) == 0 { // nothing was sampled
		return http.StatusOK, nil
	}
	if err := s.write(r.Context(), name, all, nil); err != nil {
		return status(err, http.StatusUnprocessableEntity), err
	}
	return http.StatusOK, nil
}

func (s *Store) asked(r *http.Request) (*asks, error) {
	given := r.URL.Query()
	set, err := labelset.Parse(given.Get("name"))
	if err != nil {
		return nil, invalid("name: %v", err)
	}
	a := &asks{labels: set.Labels(), service: set.ServiceName(), spy: given.Get("spyName"), rate: defaultRate}
	if a.spy == "" {
		a.spy = "unknown"
	}
	if rate, err := strconv.ParseInt(given.Get("sampleRate"), 10, 32); err == nil && rate > 0 {
		a.rate = rate
	}
	a.start, a.end = s.moment(given.Get("from")), s.moment(given.Get("until"))
	return a, nil
}

// moment reads a time by its number of digits; what cannot be read is now, as in Pyroscope.
func (s *Store) moment(text string) time.Time {
	value, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || value <= 0:
		return s.options.Now()
	case len(text) == 13:
		return time.UnixMilli(value)
	case len(text) == 16:
		return time.UnixMicro(value)
	case len(text) == 19:
		return time.Unix(0, value)
	}
	return time.Unix(value, 0)
}

// form takes the fields of a form; a body that is none is the profile itself.
func form(kind string, body []byte) (map[string][]byte, error) {
	media, parameters, err := mime.ParseMediaType(kind)
	if err != nil || media != "multipart/form-data" {
		return map[string][]byte{"profile": body, "jfr": body}, nil
	}
	reader, fields := multipart.NewReader(bytes.NewReader(body), parameters["boundary"]), map[string][]byte{}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return fields, nil
		}
		if err != nil {
			return nil, invalid("the form cannot be read: %v", err)
		}
		if fields[part.FormName()], err = io.ReadAll(part); err != nil {
			return nil, invalid("the form cannot be read: %v", err)
		}
	}
}

func fromPprof(asked *asks, fields map[string][]byte, most int) ([]pushed, error) {
	if fields["prev_profile"] != nil {
		return nil, fmt.Errorf("prev_profile is of an agent that is too old; update it")
	}
	if len(fields["profile"]) == 0 {
		return nil, nil
	}
	read, size, err := readProfile(fields["profile"], most)
	if err != nil {
		return nil, err
	}
	name, err := profilename.Of(read, fields["sample_type_config"])
	if err != nil {
		return nil, err
	}
	if time.Unix(0, read.TimeNanos).UTC().Year() == 1970 { // an old agent's microseconds
		read.TimeNanos = asked.start.UnixNano()
	}
	filesInNames(read, asked.spy)
	return []pushed{{asked.pairs(name), read, size}}, nil
}

// pairs are the labels of a profile that came by /ingest.
func (a *asks) pairs(name string) []*typesv1.LabelPair {
	set := map[string]string{nameLabel: name, deltaLabel: "false", spyLabel: a.spy, serviceLabel: a.service}
	for key, value := range a.labels {
		if !strings.HasPrefix(key, "__") || key == sessionLabel {
			set[key] = value
		}
	}
	var pairs []*typesv1.LabelPair
	for key, value := range set {
		pairs = append(pairs, &typesv1.LabelPair{Name: key, Value: value})
	}
	return pairs
}

// filesInNames puts the file before each function of a scripting language, whose names alone say little.
func filesInNames(read *profile.Profile, spy string) {
	if spy != "pyspy" && spy != "rbspy" && spy != "scripting" {
		return
	}
	for _, function := range read.Function {
		if spy != "pyspy" || !filepath.IsAbs(function.Filename) {
			function.Name = function.Filename + " " + function.Name
		}
	}
}
