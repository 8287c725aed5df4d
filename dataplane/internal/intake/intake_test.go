package intake

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"
)

const megabyte = 1 << 20

func nothing(*profile.Profile) error { return nil }

// own is a profile of this program.
func own(t testing.TB, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&out, 0); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadsProfiles(t *testing.T) {
	for _, name := range []string{"allocs", "goroutine", "mutex", "block"} {
		text := own(t, name)
		raw, err := Unpack(text, megabyte)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range [][]byte{text, raw} {
			called := false
			err := Use(one, megabyte, func(p *profile.Profile) error { called = len(p.SampleType) > 0; return nil })
			if err != nil || !called {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := Use(own(t, "allocs"), megabyte, func(*profile.Profile) error { return errors.New("told on") }); err == nil {
		t.Error("an error is lost")
	}
}

// bombs are small and become large. Of the last one some decoders read on where others stop.
func bombs(t testing.TB) map[string][]byte {
	empty := func(field protowire.Number, content string, times int) []byte {
		one := protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), content)
		return bytes.Repeat(one, times)
	}
	sample := func(content string) []byte { return empty(sampleField, content, 1) }
	return map[string][]byte{
		"zeros":            Pack(make([]byte, 16*megabyte)),
		"samples":          empty(sampleField, "", megabyte/4),
		"locations":        empty(locationField, "", megabyte/4),
		"functions":        empty(functionField, "", megabyte/4),
		"mappings":         empty(mappingField, "", megabyte/4),
		"strings":          empty(stringField, "", megabyte),
		"values":           sample(string(empty(sampleValues, strings.Repeat("\x01", 2*megabyte), 1))),
		"labels":           sample(string(empty(sampleLabels, "", megabyte/4))),
		"lines":            empty(locationField, string(empty(locationLines, "", megabyte)), 1),
		"behind a field 0": append([]byte{0x00, 0x00}, empty(sampleField, "", megabyte/4)...),
	}
}

func TestBombsAreRefusedInLittleMemory(t *testing.T) {
	for name, text := range bombs(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Use(text, 4*megabyte, nothing)
		runtime.ReadMemStats(&after)
		// What is unpacked grows by a half each time: the buffers before are counted, too.
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 32*megabyte {
			t.Errorf("%s: %v after %d MB", name, err, took>>20)
		}
		if strings.HasPrefix(name, "behind") == errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The weights are those of what the decoder really makes.
func TestNothingTakesMoreThanItWeighs(t *testing.T) {
	small := bombs(t)
	for name, text := range map[string][]byte{
		"allocs":    own(t, "allocs"),
		"samples":   small["samples"][:100_000],
		"functions": small["functions"][:100_000],
		"strings":   small["strings"][:100_000],
	} {
		raw, err := Unpack(text, megabyte)
		if err != nil {
			t.Fatal(err)
		}
		weight, err := weigh(raw)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err = profile.ParseUncompressed(raw)
		runtime.ReadMemStats(&after)
		if took := int(after.TotalAlloc - before.TotalAlloc); took > weight {
			t.Errorf("%s: takes %d, weighs %d (%v)", name, took, weight, err)
		}
	}
}

func TestWhatIsNoProfileIsSaid(t *testing.T) {
	for name, text := range map[string][]byte{
		"nothing": nil, "words": []byte("heap profile: 1: 2 [3: 4]"), "half a file": Pack(own(t, "allocs"))[:50],
		"no type": {0x32, 0x00},
	} {
		if err := Use(text, megabyte, nothing); err == nil || errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatAProgramSaysOfItselfGoes(t *testing.T) {
	now := time.Now()
	p := &profile.Profile{
		Sample: []*profile.Sample{{Label: map[string][]string{
			"service_git_ref": {"x"}, "team": {"other"}, "span_id": {"0123456789abcdef"}, "__name__": {"y"},
		}}},
		Comments: []string{"z"},
	}
	for _, one := range []struct{ at, long, want time.Duration }{
		{-time.Minute, time.Second, -time.Minute}, {-time.Hour, time.Second, -time.Second}, {time.Hour, time.Second, -time.Second},
		{-time.Hour, time.Hour, 0}, {-time.Hour, -time.Hour, 0}, {-time.Hour, math.MaxInt64, 0},
	} {
		p.TimeNanos, p.DurationNanos = now.Add(one.at).UnixNano(), int64(one.long)
		Clean(p, now)
		if found := time.Unix(0, p.TimeNanos).Sub(now); found.Round(time.Second) != one.want {
			t.Errorf("%+v: %v", one, found)
		}
	}
	if labels := p.Sample[0].Label; len(labels) != 1 || labels["span_id"] == nil || p.Comments != nil {
		t.Errorf("%v %v", labels, p.Comments)
	}
}

func TestCPUTimeIsTakenAway(t *testing.T) {
	for _, one := range []struct{ period, types, left string }{
		{"cpu", "samples cpu", ""}, {"cpu", "cpu", ""}, {"wall", "samples wall cpu", "samples wall"},
		{"space", "alloc_objects alloc_space", "alloc_objects alloc_space"}, {"cpu", "samples cpu other", "other"},
	} {
		p := &profile.Profile{PeriodType: &profile.ValueType{Type: one.period}, Sample: []*profile.Sample{{}}}
		for i, kind := range strings.Fields(one.types) {
			p.SampleType = append(p.SampleType, &profile.ValueType{Type: kind, Unit: kind})
			p.Sample[0].Value = append(p.Sample[0].Value, int64(i))
		}
		had := WithoutCPU(p)
		var left []string
		for i, kind := range p.SampleType {
			left = append(left, kind.Type)
			if was := strings.Fields(one.types)[p.Sample[0].Value[i]]; was != kind.Type {
				t.Errorf("%+v: %s has the values of %s", one, kind.Type, was)
			}
		}
		if strings.Join(left, " ") != one.left || had != (one.left != one.types) {
			t.Errorf("%+v: %v", one, left)
		}
	}
}

// Whatever is read can be cleaned, and written again.
func FuzzUse(f *testing.F) {
	for _, name := range []string{"allocs", "goroutine"} {
		raw, err := Unpack(own(f, name), megabyte)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(own(f, name))
	}
	f.Add([]byte{0x00, 0x00, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = Use(text, megabyte, func(p *profile.Profile) error {
			Clean(p, time.Now())
			WithoutCPU(p)
			var out bytes.Buffer
			if err := p.Compact().WriteUncompressed(&out); err != nil {
				t.Errorf("cannot be written: %v", err)
			}
			return nil
		})
	})
}
