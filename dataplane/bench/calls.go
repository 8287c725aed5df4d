package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const querier = "/querier.v1.QuerierService/"

// call is one kind of request, and what its answer has to be.
type call struct {
	name    string
	path    string
	kind    string // Content-Type
	gzip    bool   // whether the client takes a packed answer, as Grafana's data source does
	push    bool   // by a program; all others are a person's
	body    []byte
	answer  proto.Message // what a good one is, field by field
	refused string        // what a refusal says; such a call has no other answer
	status  int
	token   string // in place of the caller's own; "-" is none
}

const (
	asJSON  = "application/json"
	asProto = "application/proto"
	nodes   = 16384 // what Grafana asks for
)

// window of all that is pushed.
type window struct{ start, end time.Time }

// calls are what is measured. The profiles of the window sum up to “total“.
func calls(w window) ([]*call, error) {
	view := &querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: typeID, LabelSelector: fmt.Sprintf("{service_name=%q}", service),
		Start: w.start.UnixMilli(), End: w.end.UnixMilli(), MaxNodes: proto.Int64(nodes),
	}
	names := &typesv1.LabelNamesRequest{Start: view.Start, End: view.End}
	// One profile for all pushes: that they have the same time and labels is no matter to anybody here.
	packed, _, err := recording(0, w.start)
	if err != nil {
		return nil, err
	}
	all := []*call{
		{name: "view, protobuf", path: querier + "SelectMergeStacktraces", kind: asProto, gzip: true, answer: new(querierv1.SelectMergeStacktracesResponse)},
		{name: "view, JSON", path: querier + "SelectMergeStacktraces", kind: asJSON, answer: new(querierv1.SelectMergeStacktracesResponse)},
		{name: "names, JSON", path: querier + "LabelNames", kind: asJSON, answer: new(typesv1.LabelNamesResponse)},
		{name: "push, protobuf", path: "/push.v1.PusherService/Push", kind: asProto, push: true, answer: new(pushv1.PushResponse)},
	}
	for i, message := range []proto.Message{view, view, names, pushing(other, packed)} {
		if err := all[i].asking(message); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// refusals are what a door answers without asking the backend; they are on record as any other.
func refusals(w window) []*call {
	names := fmt.Appendf(nil, `{"start":"%d","end":"%d"}`, w.start.UnixMilli(), w.end.UnixMilli())
	return []*call{
		{name: "another team's", path: "/tenant/catalog" + querier + "LabelNames", kind: asJSON, body: names, status: http.StatusForbidden, refused: "permission_denied"},
		{name: "no such path", path: "/debug/pprof/heap", kind: asJSON, body: names, status: http.StatusForbidden, refused: "leads nowhere"},
		{name: "malformed", path: querier + "LabelNames", kind: asJSON, body: []byte(`{"start":`), status: http.StatusBadRequest, refused: "invalid_argument"},
		{name: "no token", path: querier + "LabelNames", kind: asJSON, body: names, status: http.StatusUnauthorized, refused: "there is no token", token: "-"},
	}
}

func (c *call) asking(message proto.Message) (err error) {
	c.status = http.StatusOK
	if c.kind == asJSON {
		c.body, err = protojson.Marshal(message)
	} else {
		c.body, err = proto.Marshal(message)
	}
	return err
}

// read decodes a good answer.
func (c *call) read(body []byte, header http.Header) (proto.Message, error) {
	if header.Get("Content-Encoding") == "gzip" {
		from, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(from); err != nil {
			return nil, err
		}
	}
	found := c.answer.ProtoReflect().New().Interface()
	if c.kind == asJSON {
		return found, protojson.Unmarshal(body, found)
	}
	return found, proto.Unmarshal(body, found)
}

// check says what is wrong with an answer.
func (c *call) check(status int, body []byte, header http.Header) error {
	switch {
	case status != c.status:
		return fmt.Errorf("%s: status %d, not %d: %.300s", c.name, status, c.status, body)
	case c.refused != "":
		if !strings.Contains(string(body), c.refused) {
			return fmt.Errorf("%s: the answer does not say %q: %.300s", c.name, c.refused, body)
		}
		return nil
	}
	found, err := c.read(body, header)
	if err != nil {
		return fmt.Errorf("%s: the answer cannot be read: %w", c.name, err)
	}
	if !proto.Equal(found, c.answer) {
		return fmt.Errorf("%s: the answer is another than the backend's own", c.name)
	}
	return nil
}

// learn takes the backend's own answer for the good one, if it can be: a flame graph of all that was pushed, the labels
// that it was pushed with.
func (c *call) learn(answer proto.Message, total int64) error {
	switch m := answer.(type) {
	case *querierv1.SelectMergeStacktracesResponse:
		if found := m.GetFlamegraph().GetTotal(); found != total {
			return fmt.Errorf("%s: the flame graph has a total of %d ns; %d were pushed", c.name, found, total)
		}
	case *typesv1.LabelNamesResponse:
		if !strings.Contains(strings.Join(m.Names, " "), "service_name") {
			return errors.New("the names lack service_name")
		}
	}
	c.answer = answer
	return nil
}
