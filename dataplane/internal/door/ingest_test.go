package door

import (
	"maps"
	"net/http"
	"testing"

	"github.com/grafana/pyroscope/api/model/labelset"
)

// names that two parsers, or one twice, could read differently. The labels are those on which both agree.
var ingested = map[string]map[string]string{
	"svc":                         {"__name__": "svc"},
	"svc{}":                       {"__name__": "svc"},
	"svc{a=1}":                    {"__name__": "svc", "a": "1"},
	" svc { a = 1 , b = x=y } ":   {"__name__": "svc", "a": "1", "b": "x=y"},
	"svc{a=1,a=2}":                {"__name__": "svc", "a": "2"},
	"svc{a=}":                     {"__name__": "svc", "a": ""},
	"svc{a=x{y}":                  {"__name__": "svc", "a": "x{y"},         // only the name ends at a brace
	"svc{a=1}b=2}":                {"__name__": "svc", "a": "1", "b": "2"}, // the parser goes on behind a brace
	"svc{__name__=evil,a=1}":      {"__name__": "evil", "a": "1"},
	"svc{a=1,":                    {"__name__": "svc", "a": "1"},
	"svc{a\xff=1}":                nil,
	"svc{=1}":                     nil,
	"svc{ =1,a=2}":                nil,
	"":                            nil,
	"{a=1}":                       nil,
	"svc{__name__=,a=1}":          nil,
	"svc{__name__=evil{,a=1}":     nil,
	"svc{__name__=evil{b=2}":      nil,
	"svc{__name__=evil{b=2,a=1}":  nil,
	"svc{__name__=e{a=2}{a=1}":    nil,
	"svc{__name__=a{}":            nil,
	"svc{__name__=a{b=1,c={d=2}}": nil,
}

func TestANameIsReadThereAsItWasHere(t *testing.T) {
	for text, want := range ingested {
		name, labels, err := labelled(text)
		if (err != nil) != (want == nil) || !maps.Equal(labels, want) {
			t.Errorf("%q: %q %v %v", text, name, labels, err)
		}
	}
}

func FuzzIngestName(f *testing.F) {
	for text := range ingested {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, labels, err := labelled(text)
		if err != nil {
			return
		}
		read, err := labelset.Parse(name)
		if err != nil || !maps.Equal(read.Labels(), labels) {
			t.Fatalf("%q is sent as %q: %v here, %v there", text, name, labels, read)
		}
	})
}

func TestAnotherServiceHidesInNoName(t *testing.T) {
	w := newWorld(t)
	kind, body := formOf("profile")
	for _, name := range []string{"svc{__name__=evil{service_name=other,team=payments}", "svc{__name__=evil{team=payments,team=catalog}"} {
		status, text := w.send(http.MethodPost, w.program(agent), ingestPath(name), kind, body)
		if record := w.last(); status != http.StatusBadRequest || record.Rule != "malformed" || len(w.backend.all()) > 0 {
			t.Errorf("%s: %d %s; %+v", name, status, text, record)
		}
	}
}
