package door

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/grafana/pyroscope/api/model/labelset"
)

// fields of a form that an agent pushes: a profile with what came before it and how to read it, or a recording of the
// JVM with the labels of its threads.
var fields = []string{"profile", "prev_profile", "sample_type_config", "jfr", "labels"}

// ingest reads POST /ingest, by which the agents for Java and Node.js push. Its name and labels are read by Pyroscope's
// own parser and written anew, and so is the form; the profile inside of it passes as it is, since nothing here is
// decided by it.
func ingest(r *http.Request, _ time.Time) (*Call, *http.Request, error) {
	given, err := parameters(r, "name", "from", "until", "format", "sampleRate", "spyName", "units", "aggregationType")
	if err != nil {
		return nil, nil, err
	}
	name, labels, err := labelled(given.Get("name"))
	if err != nil {
		return nil, nil, err
	}
	if labels[serviceLabel] == "" {
		labels[serviceLabel] = labels["__name__"]
	}
	call := &Call{Kind: Push}
	if err := call.written(labels); err != nil {
		return nil, nil, err
	}
	given.Set("name", name)
	for _, key := range []string{"from", "until", "sampleRate"} {
		if text := given.Get(key); text != "" {
			if _, err := strconv.ParseUint(text, 10, 63); err != nil {
				return nil, nil, invalid("%s is %q; it must be a whole number", key, cut(text, 20))
			}
		}
	}
	one := visiting(r.Context())
	raw, err := one.receive(r.Context(), r.Body, one.state.Gateway.Limits.BodyMegabytes<<20)
	if err != nil {
		return nil, nil, err
	}
	if err := one.holding.take(r.Context(), int64(len(raw))*(plainWeight-rawWeight), true); err != nil {
		return nil, nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	kind, body, err := profile(r, given.Get("format"))
	if err != nil {
		return nil, nil, err
	}
	return call, send(r.URL.Path, given, kind, body), nil
}

// labelled reads a name with its labels, and writes it anew. The parser knows no quotes: a value may hold braces, commas
// and other labels, which it reads as such once they are written anew. What is sent has to be read there as it was here.
func labelled(text string) (name string, labels map[string]string, err error) {
	first, err := labelset.Parse(text)
	if err != nil {
		return "", nil, invalid("name cannot be read; it is written service{label=value,label=value}")
	}
	name = first.Normalized()
	again, err := labelset.Parse(name)
	if err != nil || !maps.Equal(first.Labels(), again.Labels()) {
		return "", nil, invalid("name can be read in two ways; leave braces and commas out of its values")
	}
	return name, maps.Clone(first.Labels()), nil
}

// profile reads the body of a push: a form, or a pprof file alone.
func profile(r *http.Request, format string) (string, []byte, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Encoding") != "":
		return "", nil, invalid("Content-Encoding is not taken here: profiles are compressed by themselves")
	case err == nil && kind == "multipart/form-data" && slices.Contains([]string{"", pprof, "jfr"}, format):
		return form(r.Body, parameters["boundary"])
	case format == pprof:
		body, err := io.ReadAll(r.Body)
		return "application/octet-stream", body, err
	}
	return "", nil, invalid("format is %q; valid: pprof, or a form with pprof or jfr", cut(format, 20))
}

func form(body io.Reader, boundary string) (string, []byte, error) {
	reader, seen := multipart.NewReader(body, boundary), map[string]bool{}
	var buffer bytes.Buffer
	writer := multipart.NewWriter(&buffer)
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, malformedForm(err)
		}
		name := part.FormName()
		if !slices.Contains(fields, name) || seen[name] {
			return "", nil, invalid("the form has the field %q twice, or it is none; valid: %v", cut(name, 20), fields)
		}
		seen[name] = true
		field, err := writer.CreateFormFile(name, name)
		if err == nil {
			_, err = io.Copy(field, part)
		}
		if err != nil {
			return "", nil, malformedForm(err)
		}
	}
	if len(seen) == 0 {
		return "", nil, invalid("the form is empty")
	}
	if err := writer.Close(); err != nil { // writes the end of the form
		return "", nil, err
	}
	return writer.FormDataContentType(), buffer.Bytes(), nil
}

func malformedForm(err error) error {
	if errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	return invalid("the form cannot be read")
}
