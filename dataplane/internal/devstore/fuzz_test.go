package devstore

import (
	"testing"
	"time"

	"github.com/google/pprof/profile"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	"github.com/klauspost/compress/zstd"
	collector "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	"google.golang.org/protobuf/proto"
)

// stores takes a profile through everything between a request and an answer, and holds that nothing is lost on the way.
func stores(t *testing.T, one pushed) {
	limits := DefaultLimits()
	if check(&limits, one.profile) != nil {
		return
	}
	tidy(one.profile)
	set, err := labelsOf(one)
	if err != nil {
		return
	}
	records, err := split(&limits, set, one.profile)
	if err != nil {
		return
	}
	reader, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, record := range records {
		raw, err := reader.DecodeAll(record.body, nil)
		if err != nil {
			t.Fatal(err)
		}
		read := new(googlev1.Profile)
		if err := read.UnmarshalVT(raw); err != nil {
			t.Fatal(err)
		}
		for _, column := range record.series {
			var total int64
			for _, sample := range read.Sample {
				total += sample.Value[column.number]
			}
			if total != column.total {
				t.Fatalf("the index has %d, the body %d", column.total, total)
			}
			found, merger := &tree{}, newMerger()
			found.addProfile(read, column.number)
			flamegraph(&found.node, 10)
			difference(&found.node, &node{}, 10)
			found.bytes()
			merger.add(read, column.number)
			kind, _ := profileType(cpu)
			text, err := merger.profile(kind, 1, 3).MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			if len(merger.made.Sample) == 0 {
				continue
			}
			if whole, err := profile.ParseUncompressed(text); err != nil || whole.CheckValid() != nil {
				t.Fatalf("what is merged is no pprof: %v", err)
			}
		}
	}
}

func FuzzPprof(f *testing.F) {
	one := cpuProfile(time.Unix(1_700_000_000, 0), sample{[]string{"main", "[go.shape.int].work"}, 3, map[string]string{"span_id": "0a0b0c0d0e0f1011", "k": "v"}},
		sample{[]string{"main"}, -1, nil}, sample{nil, 2, nil})
	f.Add(packed(f, one))
	raw, err := inflate(packed(f, one), 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if read, size, err := readProfile(text, 1<<20); err == nil {
			stores(t, pushed{labelled("process_cpu", "x"), read, size})
		}
	})
}

func FuzzOTLP(f *testing.F) {
	raw, err := proto.Marshal(exported(time.Unix(1_700_000_000, 0)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	store := newWorld(f).store
	f.Fuzz(func(t *testing.T, text []byte) {
		message := &collector.ExportProfilesServiceRequest{}
		if proto.Unmarshal(text, message) != nil {
			return
		}
		all, err := store.converted(message, store.limits.of("t"))
		if err != nil {
			return
		}
		for _, one := range all {
			stores(t, one)
		}
	})
}
