package devstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/common/model"
)

var replayed = flag.Duration("replay", 8*time.Minute, "how much of the local environment's load TestReplay pushes; docs/devstore.md has the figures of 24h")

// The local environment: four demo services, of which each pushes CPU and memory, and the node agent, which pushes the
// CPU of each process once more.
const (
	uploadEvery = 15 * time.Second
	services    = 4
	variants    = 32 // profiles of each kind; what differs from one upload to the next is taken from these
	keptPart    = 4  // the retention is this part of what is replayed
)

// load of one window: 12 profiles.
type load struct {
	labels []*typesv1.LabelPair
	made   []*googlev1.Profile
	values []int64 // CPU time of each
}

// loads have the sizes that were measured at a Go service with a busy core (331 stacks, 54 KB; memory 18 to 25 KB).
func loads(t testing.TB) []load {
	random := rand.New(rand.NewPCG(1, 2))
	var all []load
	for service := range services {
		name := fmt.Sprint("service-", service)
		for _, kind := range []struct {
			name, pod string
			stacks    int
		}{{"process_cpu", "app", 331}, {"memory", "app", 110}, {"process_cpu", "agent", 331}} {
			one := load{labels: labelled(kind.name, name, "pod", name+"-"+kind.pod, "version", "1.0.0")}
			for range variants {
				made, value := generated(t, random, name, kind.name, kind.stacks)
				one.made, one.values = append(one.made, made), append(one.values, value)
			}
			all = append(all, one)
		}
	}
	return all
}

func generated(t testing.TB, random *rand.Rand, service, kind string, stacks int) (*googlev1.Profile, int64) {
	var samples []sample
	var total int64
	for range stacks {
		stack := []string{"runtime.main", "main.main"}
		for depth := range 8 + random.IntN(12) {
			stack = append(stack, fmt.Sprintf("example.com/%s/package%d.(*Type%d).method%d", service, depth, depth%5, random.IntN(14)))
		}
		value := int64(1+random.IntN(20)) * 10_000_000
		total += value
		samples = append(samples, sample{stack, value, nil})
	}
	one := cpuProfile(time.Unix(1, 0), samples...)
	if kind == "memory" {
		one.SampleType = []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}}
		for _, each := range one.Sample {
			each.Value = []int64{each.Value[1] / 1000, each.Value[1], each.Value[1] / 2000, each.Value[1] / 3}
		}
	}
	var raw bytes.Buffer
	if err := one.WriteUncompressed(&raw); err != nil {
		t.Fatal(err)
	}
	made := new(googlev1.Profile)
	if err := made.UnmarshalVT(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	return made, total
}

// TestReplay pushes the local environment's load at the speed of the machine, with a clock of its own, and lets retention
// run beside it: once the first profiles have expired, the file grows no more, nor does the memory; and what is asked
// for meanwhile is exactly what was pushed.
func TestReplay(t *testing.T) {
	keeps := *replayed / keptPart
	w := newWorld(t, func(o *Options) {
		limits := DefaultLimits()
		limits.RetentionPeriod = model.Duration(keeps)
		o.Limits = &limits
	})
	all, begin, to := loads(t), w.now(), w.writes("local")
	var pushes, bytesRaw, bytesSent atomic.Int64
	var plateau, largest int64
	started := time.Now()
	for window := range int(*replayed / uploadEvery) {
		at := begin.Add(time.Duration(window) * uploadEvery)
		w.clock.Store(at.UnixNano())
		failed := make(chan error, len(all))
		for i, one := range all {
			go func() {
				made := one.made[(window+i)%variants].CloneVT()
				made.TimeNanos = at.UnixNano() - int64(uploadEvery)
				text, raw, err := zipped(made)
				if err == nil {
					bytesRaw.Add(int64(raw))
					bytesSent.Add(int64(len(text)))
					err = push(context.Background(), to, one.labels, text)
				}
				failed <- err
			}()
		}
		for range all {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			pushes.Add(1)
		}
		if window%4 == 3 { // every minute
			if _, err := w.store.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		size := fileSize(t, w)
		if at.Sub(begin) <= keeps+keeps/4 {
			plateau = max(plateau, size)
		}
		largest = max(largest, size)
		if window%(int(keeps/uploadEvery)) == int(keeps/uploadEvery)-1 {
			w.compare(all, begin, window)
			t.Logf("%8s: %6d profiles, file %5.1f MB, heap %5.1f MB, peak of the process %s, %.0f profiles/s", at.Sub(begin).Round(time.Second),
				pushes.Load(), float64(size)/1e6, heap(), peak(), float64(pushes.Load())/time.Since(started).Seconds())
		}
	}
	t.Logf("%d profiles, %.1f MB unpacked, %.1f MB sent; file %.1f MB, %.1f KB a profile that is kept", pushes.Load(), float64(bytesRaw.Load())/1e6,
		float64(bytesSent.Load())/1e6, float64(largest)/1e6, float64(largest)/1e3/(float64(len(all))*float64(keeps/uploadEvery)))
	if float64(largest) > 1.15*float64(plateau) {
		t.Errorf("the file had %d bytes when the first profiles expired, and %d later", plateau, largest)
	}
	if found := heap(); found > 256 {
		t.Errorf("the heap is %.0f MB", found)
	}
}

// compare asks for the last windows, and adds up what was pushed in them.
func (w *world) compare(all []load, begin time.Time, window int) {
	w.t.Helper()
	first := max(0, window-7)
	var wanted int64
	for i, one := range all {
		for each := first; each <= window && strings.HasPrefix(one.labels[0].Value, "process_cpu"); each++ {
			wanted += one.values[(each+i)%variants]
		}
	}
	from := begin.Add(time.Duration(first-1) * uploadEvery)
	same(w.t, w.total("local", "{}", func(r *querierv1.SelectMergeStacktracesRequest) {
		r.Start, r.End = from.UnixMilli(), w.now().UnixMilli()
	}), wanted)
}

func zipped(made *googlev1.Profile) (text []byte, raw int, err error) {
	plain, err := made.MarshalVT()
	if err != nil {
		return nil, 0, err
	}
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, 0, err
	}
	if _, err := writer.Write(plain); err != nil {
		return nil, 0, err
	}
	err = writer.Close()
	return packed.Bytes(), len(plain), err
}

func fileSize(t testing.TB, w *world) int64 {
	t.Helper()
	found, err := os.Stat(filepath.Join(w.store.options.Data, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	return found.Size()
}

func heap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / 1e6
}

// peak of memory, pages of the file included, as Linux counts it.
func peak() string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if found, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(found)
		}
	}
	return "unknown"
}
