package devstore

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	bolt "go.etcd.io/bbolt"
)

// overridesYAML is of the form that components/pyroscope_limits.py writes, with keys that mean nothing here.
const overridesYAML = `
overrides:
  payments:
    distributor_usage_groups: {"svc/${labels.service_name}": '{service_name=~".+"}'}
    ingestion_burst_size_mb: 16.0
    ingestion_rate_mb: 8.0
    ingestion_relabeling_rules:
    - {action: labeldrop, regex: span_name}
    - {action: labelkeep, regex: "__(name|type|unit|period_type|period_unit|profile_type|delta|service_name)__|service_name|version"}
    max_label_value_length: 512
    max_query_length: 24h
    max_query_lookback: 720h
    reject_newer_than: 10m
    reject_older_than: 1h
    retention_period: 2h
  payments-longterm: {reject_older_than: 24h, retention_period: 2160h, max_query_length: 2160h, max_query_lookback: 2160h, max_profile_size_bytes: 33554432}
`

func TestOverrides(t *testing.T) {
	path := write(t, t.TempDir(), "overrides.yaml", overridesYAML)
	w := newWorld(t, func(o *Options) { o.Overrides = path })
	old := cpuProfile(w.now().Add(-3*time.Hour), sample{[]string{"main"}, 1, nil})
	wants(t, push(t.Context(), w.writes("payments"), labelled("process_cpu", "x"), packed(t, old)), connect.CodeInvalidArgument)
	w.push("payments-longterm", labelled("process_cpu", "x"), old)

	w.push("payments", labelled("process_cpu", "x", "version", "1", "request", "of a label that is not kept"),
		cpuProfile(w.now(), sample{[]string{"main"}, 1, map[string]string{"span_name": "GET /"}}))
	start, end := w.window()
	names, err := w.reads("payments").LabelNames(t.Context(), connect.NewRequest(&typesv1.LabelNamesRequest{Start: start, End: end}))
	if found := fmt.Sprint(answer(t, names, err).Names); strings.Contains(found, "request") || strings.Contains(found, "span_name") || !strings.Contains(found, "version") {
		t.Fatal(found)
	}

	write(t, filepath.Dir(path), "overrides.yaml", strings.Replace(overridesYAML, "reject_older_than: 1h", "reject_older_than: 4h", 1))
	w.store.reload(t.Context())
	w.push("payments", labelled("process_cpu", "x"), old)
	write(t, filepath.Dir(path), "overrides.yaml", "overrides: {payments: {retention_period: soon}}")
	if _, err := w.store.limits.look(); err == nil || !strings.Contains(err.Error(), "payments") {
		t.Fatalf("a bad file is told as %v", err)
	}
	w.push("payments", labelled("process_cpu", "x"), old) // the last good ones stay
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"no YAML": "{", "no duration": "overrides: {a: {retention_period: soon}}", "negative": "overrides: {a: {max_profile_size_bytes: -1}}",
		"no rule": "overrides: {a: {ingestion_relabeling_rules: [{action: nothing}]}}",
	} {
		if store, err := Open(Options{Data: filepath.Join(folder, "data"), Overrides: write(t, folder, "o.yaml", text)}); err == nil {
			t.Errorf("%s was taken; %v", name, store.Close())
		}
	}
	if _, err := Open(Options{Data: folder, Overrides: filepath.Join(folder, "none.yaml")}); err == nil {
		t.Error("a missing file was taken")
	}
	w := newWorld(t)
	if _, err := Open(Options{Data: w.store.options.Data}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a folder in use: %v", err)
	}
	other := t.TempDir()
	store, err := Open(Options{Data: other})
	if err != nil {
		t.Fatal(err)
	}
	err = store.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(formatBucket).Put(formatKey, []byte("0")) })
	if err != nil || store.Close() != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Data: other}); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("another format: %v", err)
	}
}

func TestATimeBeyondAllClocksIsRefused(t *testing.T) {
	w := newWorld(t)
	w.push("t", labelled("process_cpu", "s"), cpuProfile(w.now(), sample{[]string{"main"}, 1, nil}))
	for _, one := range [][2]int64{{1, math.MaxInt64}, {1, math.MaxInt64/1_000_000 + 1}, {math.MinInt64, 1}} {
		_, err := w.reads("t").SelectSeries(t.Context(), connect.NewRequest(&querierv1.SelectSeriesRequest{
			ProfileTypeID: cpu, LabelSelector: "{}", Start: one[0], End: one[1], Step: 3600}))
		wants(t, err, connect.CodeInvalidArgument)
	}
}

// TestAnyStepHasAsManyPointsAsProfiles holds for the shortest and the longest step alike, at the far ends of time too.
func TestAnyStepHasAsManyPointsAsProfiles(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		limits := DefaultLimits()
		limits.MaxQueryLookback, limits.MaxQueryLength = 0, 0
		o.Limits = &limits
	})
	for i := range 3 {
		w.push("t", labelled("process_cpu", "s"), cpuProfile(w.now().Add(-time.Duration(i+1)*time.Minute), sample{[]string{"main"}, 1, nil}))
	}
	ask := func(step float64, start int64) (points int, err error) {
		found, err := w.reads("t").SelectSeries(t.Context(), connect.NewRequest(&querierv1.SelectSeriesRequest{
			ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: w.now().UnixMilli(), Step: step}))
		if err != nil {
			return 0, err
		}
		for _, series := range found.Msg.Series {
			points += len(series.Points)
		}
		return points, nil
	}
	const longest = float64(math.MaxInt64/time.Second) - 1
	day, ever := w.now().Add(-24*time.Hour).UnixMilli(), int64(-math.MaxInt64/1_000_000)
	for step, wanted := range map[float64]map[int64]int{
		0.001: {day: 3, ever: 3}, 0.0015: {day: 3, ever: 3}, 120: {day: 2}, 86400: {day: 1}, longest: {day: 0, ever: 0},
	} {
		for start, count := range wanted {
			if points, err := ask(step, start); err != nil || points != count {
				t.Errorf("a step of %v s from %d: %d points, %v; wanted %d", step, start, points, err, count)
			}
		}
	}
	for _, step := range []float64{
		math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), -1, 0.0009, math.SmallestNonzeroFloat64,
		longest + 2000, 1e12, math.MaxFloat64, -math.MaxFloat64,
	} {
		if points, err := ask(step, day); err == nil {
			t.Errorf("a step of %v s was taken: %d points", step, points)
		} else {
			wants(t, err, connect.CodeInvalidArgument)
		}
	}
}

func TestRefusedPushes(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		limits := DefaultLimits()
		limits.MaxProfileSizeBytes, limits.MaxProfileSamples = 64<<10, 100
		limits.IngestionRateMB, limits.IngestionBurstSizeMB = 1, 0.5
		o.Limits = &limits
	})
	good := cpuProfile(w.now(), sample{[]string{"main"}, 1, nil})
	var many []sample
	for i := range 101 {
		many = append(many, sample{[]string{fmt.Sprint("f", i)}, 1, nil})
	}
	var labels []string
	for i := range 31 {
		labels = append(labels, fmt.Sprint("l", i), "x")
	}
	dashed := cpuProfile(w.now(), sample{[]string{"main"}, 1, nil})
	dashed.SampleType[1].Type = "cpu-time"
	wide := cpuProfile(w.now(), sample{[]string{strings.Repeat("x", 70<<10)}, 1, nil})
	for name, one := range map[string]struct {
		labels []*typesv1.LabelPair
		text   []byte
		code   connect.Code
	}{
		"older":           {labelled("process_cpu", "x"), packed(t, cpuProfile(w.now().Add(-61*time.Minute), sample{[]string{"main"}, 1, nil})), connect.CodeInvalidArgument},
		"newer":           {labelled("process_cpu", "x"), packed(t, cpuProfile(w.now().Add(11*time.Minute), sample{[]string{"main"}, 1, nil})), connect.CodeInvalidArgument},
		"no name":         {labelled("", "x"), packed(t, good), connect.CodeInvalidArgument},
		"label twice":     {labelled("process_cpu", "x", "a", "1", "a", "2"), packed(t, good), connect.CodeInvalidArgument},
		"many labels":     {labelled("process_cpu", "x", labels...), packed(t, good), connect.CodeInvalidArgument},
		"long label":      {labelled("process_cpu", "x", "a", strings.Repeat("x", 2049)), packed(t, good), connect.CodeInvalidArgument},
		"many samples":    {labelled("process_cpu", "x"), packed(t, cpuProfile(w.now(), many...)), connect.CodeInvalidArgument},
		"type with dash":  {labelled("process_cpu", "x"), packed(t, dashed), connect.CodeInvalidArgument},
		"too large":       {labelled("process_cpu", "x"), packed(t, wide), connect.CodeInvalidArgument}, // 70 KiB in less than 1
		"no UTF-8":        {labelled("process_cpu", "x"), packed(t, cpuProfile(w.now(), sample{[]string{"\xff"}, 1, nil})), connect.CodeInvalidArgument},
		"no pprof":        {labelled("process_cpu", "x"), []byte("no pprof"), connect.CodeUnknown}, // as Pyroscope
		"no gzip":         {labelled("process_cpu", "x"), []byte("\x1f\x8bno gzip"), connect.CodeUnknown},
		"nothing in gzip": {labelled("process_cpu", "x"), packed(t, good)[:40], connect.CodeUnknown},
	} {
		if err := push(t.Context(), w.writes("a"), one.labels, one.text); connect.CodeOf(err) != one.code || err == nil {
			t.Errorf("%s: %v; wanted %s", name, err, one.code)
		}
	}
	wants(t, push(t.Context(), w.writes("a"), labelled("process_cpu", "x")), connect.CodeInvalidArgument)
	same(t, w.total("a", "{}"), 0)

	// What is good of a request is stored, what is not is told.
	wants(t, push(t.Context(), w.writes("a"), labelled("process_cpu", "x"), packed(t, good), []byte("no pprof")), connect.CodeUnknown)
	same(t, w.total("a", "{}"), 1)

	var text []byte
	for i := range 60 { // each of a kilobyte and more: faster than 1 MB/s in the clock that stands still
		part := cpuProfile(w.now(), sample{[]string{strings.Repeat("y", 20<<10), fmt.Sprint(i)}, 1, nil})
		text = packed(t, part)
		if err := push(t.Context(), w.writes("b"), labelled("process_cpu", "x"), text); err != nil {
			wants(t, err, connect.CodeResourceExhausted)
			return
		}
	}
	t.Fatal("the rate of ingestion has no limit")
}

// TestRetention pushes for days and sweeps: what is expired is gone with its series, and each tenant keeps its own.
func TestRetention(t *testing.T) {
	path := write(t, t.TempDir(), "overrides.yaml", "overrides: {short: {retention_period: 1h}, forever: {retention_period: 0s}}")
	w := newWorld(t, func(o *Options) { o.Overrides = path })
	begin := w.now()
	for _, tenant := range []string{"short", "forever", "usual"} {
		w.push(tenant, labelled("process_cpu", "first"), cpuProfile(w.now(), sample{[]string{"main"}, 1, nil}))
	}
	w.clock.Store(begin.Add(50 * time.Minute).UnixNano())
	var many []*profile.Profile // more than one transaction deletes
	for i := range 3 * sweptAtOnce / 2 {
		many = append(many, cpuProfile(w.now().Add(time.Duration(i)), sample{[]string{"main"}, 1, nil}))
	}
	w.push("short", labelled("process_cpu", "second"), many...)
	sweep := func(wanted int) {
		t.Helper()
		count, err := w.store.Sweep(t.Context())
		if err != nil || count != wanted {
			t.Fatalf("swept %d, %v; wanted %d", count, err, wanted)
		}
	}
	sweep(0)
	w.clock.Store(begin.Add(61 * time.Minute).UnixNano())
	sweep(1)
	same(t, w.seriesOf("short"), 2) // of the second service
	w.clock.Store(begin.Add(111 * time.Minute).UnixNano())
	sweep(3 * sweptAtOnce / 2)
	same(t, w.seriesOf("short"), 0)
	w.clock.Store(begin.Add(31*24*time.Hour + time.Minute).UnixNano())
	sweep(1) // of the usual tenant: 31 days
	same(t, w.seriesOf("forever"), 2)
}

func (w *world) seriesOf(tenant string) (count int) {
	_ = w.store.db.View(func(tx *bolt.Tx) error {
		series, index, bodies := open(tx, tenant)
		count = series.Stats().KeyN
		if left := index.Stats().KeyN; count == 0 && left+bodies.Stats().KeyN > 0 {
			w.t.Errorf("%s has no series and %d entries", tenant, left)
		}
		return nil
	})
	return count
}
