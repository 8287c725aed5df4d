package door

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"testing"

	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"google.golang.org/protobuf/proto"
)

func enveloping(flags byte, length int, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(length)), message...)
}

// What gRPC puts around a message is read as Connect would read it, or refused.
func TestACallHasOneMessage(t *testing.T) {
	series := &pushv1.RawProfileSeries{Samples: []*pushv1.RawSample{{RawProfile: []byte("x")}}}
	for name, value := range map[string]string{"__name__": "process_cpu", "team": "payments", "service_name": "checkout"} {
		series.Labels = append(series.Labels, &typesv1.LabelPair{Name: name, Value: value})
	}
	plain, err := proto.Marshal(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{series}})
	if err != nil {
		t.Fatal(err)
	}
	packed := []byte(zipped(string(plain)))
	good := enveloping(0, len(plain), plain)
	bomb := []byte(zipped(string(make([]byte, 8<<20))))
	for name, c := range map[string]struct {
		encoding string
		body     []byte
		rule     string
	}{
		"plain":                  {"", good, "program-writes-team"},
		"packed":                 {"gzip", enveloping(1, len(packed), packed), "program-writes-team"},
		"packed, or not":         {"gzip", good, "program-writes-team"},
		"nothing":                {"", nil, "protocol"},
		"of unknown packing":     {"br", enveloping(1, len(plain), plain), "protocol"},
		"packed, nobody says so": {"", enveloping(1, len(packed), packed), "malformed"},
		"cut in front":           {"gzip", enveloping(1, len(packed)-9, packed[9:]), "malformed"},
		"other flags":            {"", enveloping(2, len(plain), plain), "malformed"},
		"two messages":           {"", append(bytes.Clone(good), good...), "malformed"},
		"packed, and one more":   {"gzip", append(enveloping(1, len(packed), packed), good...), "malformed"},
		"a byte more":            {"", append(bytes.Clone(good), 0), "malformed"},
		"a byte less":            {"", good[:len(good)-1], "malformed"},
		"half an envelope":       {"", good[:3], "malformed"},
		"longer than it may be":  {"", enveloping(0, 2<<20, plain), "body"},
		"a bomb":                 {"gzip", enveloping(1, len(bomb), bomb), "body"},
	} {
		for _, kind := range []string{"application/grpc", "application/grpc+proto", "application/grpc-web+proto"} {
			w := newWorld(t)
			request := httptest.NewRequest(http.MethodPost, push, bytes.NewReader(c.body))
			request.ProtoMajor, request.Proto = 2, "HTTP/2.0"
			request.Header.Set("Content-Type", kind)
			request.Header.Set("Authorization", "Bearer "+w.program(agent))
			if c.encoding != "" {
				request.Header.Set("Grpc-Encoding", c.encoding)
			}
			w.door.ServeHTTP(httptest.NewRecorder(), request)
			reached := len(w.backend.all())
			if record := w.last(); record.Rule != c.rule || record.Allowed != (reached == 1) || record.Allowed != (c.rule == "program-writes-team") {
				t.Errorf("%s as %s: %d reached the backend; %+v", name, kind, reached, record)
			}
		}
	}
}
