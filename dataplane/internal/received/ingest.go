package received

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/internal/profilename"
)

// fields of a form that are read; an agent that sends prev_profile is too old for the backend as well.
var fields = []string{"profile", "sample_type_config", "jfr", "labels"}

// ingest takes what the agents for Java, Node.js and Go push. The name in the query is what the program says of itself,
// and is not even read.
func (r *Receiver) ingest(w http.ResponseWriter, request *http.Request) {
	ctx := request.Context()
	given, err := url.ParseQuery(request.URL.RawQuery)
	if err != nil {
		r.refuse(ctx, malformed(errors.New("the query cannot be read")))
		return
	}
	parts, err := bodyOf(request)
	if err != nil {
		r.refuse(ctx, malformed(err))
		return
	}
	var no *refusal
	switch format := given.Get("format"); {
	case format == "jfr":
		no = r.recording(ctx, parts, given)
	case (format == "" || format == "pprof") && parts["profile"] != nil:
		no = r.take(visiting(ctx).source, parts["profile"], "pprof", func(p *profile.Profile) (string, error) {
			name, err := profilename.Of(p, parts["sample_type_config"])
			if err == nil && !plainName.MatchString(name) {
				err = errors.New("its types name no kind of profile")
			}
			return name, err
		})
	default:
		no = malformed(errors.New("format is none; valid: pprof, jfr"))
	}
	if no != nil {
		r.refuse(ctx, no)
	}
}

// bodyOf reads the fields of a form; a body that is none is the profile itself.
func bodyOf(request *http.Request) (map[string][]byte, error) {
	if request.Header.Get("Content-Encoding") != "" {
		return nil, errors.New("Content-Encoding is not taken here: profiles are compressed by themselves")
	}
	kind, parameters, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, unreadable(err)
		}
		return map[string][]byte{"profile": body, "jfr": body}, nil
	}
	reader, found := multipart.NewReader(request.Body, parameters["boundary"]), map[string][]byte{}
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, unreadable(err)
		}
		name := part.FormName()
		if !slices.Contains(fields, name) || found[name] != nil {
			return nil, fmt.Errorf("the form has a field twice, or one that is none; valid: %v", fields)
		}
		text := bytes.NewBuffer([]byte{})
		if _, err := io.Copy(text, part); err != nil {
			return nil, unreadable(err)
		}
		found[name] = text.Bytes()
	}
}

func unreadable(err error) error {
	if errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	return errors.New("the body cannot be read")
}

// moment reads a time by its number of digits, as the backend does.
func moment(text string, otherwise time.Time) time.Time {
	value, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || value <= 0:
		return otherwise
	case len(text) == 13:
		return time.UnixMilli(value)
	case len(text) == 16:
		return time.UnixMicro(value)
	case len(text) == 19:
		return time.Unix(0, value)
	}
	return time.Unix(value, 0)
}
