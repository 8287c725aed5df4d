package received

import (
	"bytes"
	"slices"
	"testing"

	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"google.golang.org/protobuf/proto"
)

// What is read of a request is what its declaration says, and nothing makes it fail otherwise than in words.
func FuzzPushRequest(f *testing.F) {
	good, err := proto.Marshal(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{{
		Labels:  []*typesv1.LabelPair{{Name: "__name__", Value: "wall"}, {Name: "team", Value: "x"}},
		Samples: []*pushv1.RawSample{{RawProfile: []byte("one")}, {RawProfile: []byte("two")}},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		var read pushed
		if err := (wire{}).Unmarshal(text, &read); err != nil {
			return
		}
		var declared pushv1.PushRequest
		if proto.Unmarshal(text, &declared) != nil { // of fields that do not matter here, or in bytes that are no UTF-8
			return
		}
		var want []named
		for _, series := range declared.Series {
			name := ""
			for _, label := range series.Labels {
				if label.GetName() == "__name__" {
					name = label.GetValue()
				}
			}
			for _, sample := range series.Samples {
				want = append(want, named{name, sample.GetRawProfile()})
			}
		}
		same := func(a, b named) bool { return a.name == b.name && (bytes.Equal(a.text, b.text) || len(b.text) == 0) }
		if len(read.profiles) == len(want) && !slices.EqualFunc(read.profiles, want, same) {
			t.Errorf("%q, declared as %q", read.profiles, want)
		}
	})
}
