package devstore

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/prometheus/model/labels"
)

func TestAProfileIsNotSplitWithoutEnd(t *testing.T) {
	w := newWorld(t)
	limits, set := DefaultLimits(), labels.FromStrings(nameLabel, "process_cpu", serviceLabel, "s")
	for name, one := range map[string]struct {
		sets, long int
		refused    string
	}{
		"some sets": {100, 10, ""},
		"a set for each of as many samples as there may be": {limits.MaxProfileSamples, 10, ""}, // Pyroscope takes it
		"a large name in each":                              {1024, 100_000, "sets of labels, which come to more than"},
	} {
		t.Run(name, func(t *testing.T) {
			var samples []sample
			for i := range one.sets {
				samples = append(samples, sample{[]string{strings.Repeat("x", one.long)}, 1, map[string]string{"version": fmt.Sprint(i)}})
			}
			records, err := split(&limits, set, cpuProfile(w.now(), samples...))
			switch {
			case one.refused == "" && (err != nil || len(records) != one.sets):
				t.Errorf("%d records, %v", len(records), err)
			case one.refused != "" && (err == nil || !strings.Contains(err.Error(), one.refused)):
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAPartHasNoMoreThanItsSamplesReferTo keeps the work of a split from growing with the square of a profile.
func TestAPartHasNoMoreThanItsSamplesReferTo(t *testing.T) {
	w := newWorld(t)
	whole := cpuProfile(w.now(), sample{[]string{"leaf", "main"}, 1, nil}, sample{[]string{"other", "main"}, 2, nil})
	part := partOf(whole, whole.Sample[:1])
	if len(part.Location) != 2 || len(part.Function) != 2 || part.CheckValid() != nil {
		t.Errorf("%d locations, %d functions of two, %v", len(part.Location), len(part.Function), part.CheckValid())
	}
}

// TestLongSymbolsAreCutAsPyroscopeDoes: what a running one answered to names of 65535 and 65536 bytes and more.
func TestLongSymbolsAreCutAsPyroscopeDoes(t *testing.T) {
	limits := DefaultLimits()
	w := newWorld(t)
	for given, wanted := range map[string]string{
		"x" + strings.Repeat("y", 65534):  "x" + strings.Repeat("y", 65534),
		"x" + strings.Repeat("y", 65535):  strings.Repeat("y", 65535),
		strings.Repeat("é", 40_000) + "y": strings.Repeat("é", 32_767) + "y",
	} {
		one := cpuProfile(w.now(), sample{[]string{given}, 1, nil})
		one.Function[0].Filename = given
		if err := check(&limits, one); err != nil || one.Function[0].Name != wanted || one.Function[0].Filename != wanted {
			t.Errorf("%.4s... of %d bytes: %v, %d bytes", given, len(given), err, len(one.Function[0].Name))
		}
	}
	torn := cpuProfile(w.now(), sample{[]string{strings.Repeat("é", 40_000)}, 1, nil}) // the cut is within a letter
	wants(t, check(&limits, torn), connect.CodeInvalidArgument)
	limits.MaxSymbolLength = 0
	long := cpuProfile(w.now(), sample{[]string{strings.Repeat("y", 70_000)}, 1, nil})
	if err := check(&limits, long); err != nil || len(long.Function[0].Name) != 70_000 {
		t.Errorf("without a limit: %v, %d bytes", err, len(long.Function[0].Name))
	}
}

// TestWhatAProfileComesToIsLimited: of OTLP as much as of pprof, and whatever the request itself weighs.
func TestWhatAProfileComesToIsLimited(t *testing.T) {
	limits := DefaultLimits()
	w := newWorld(t)
	message, left := exported(w.now()), mostOTLP
	message.Dictionary.StringTable[5] = strings.Repeat("x", 50_000) // a function's name, which stands in the dictionary
	one := message.ResourceProfiles[0].ScopeProfiles[0].Profiles[0]
	found, err := fromOTLP(one, message.Dictionary, &limits, &left)
	if err != nil {
		t.Fatal(err)
	}
	if size := found[""].size; size < 50_000 || size > 51_000 {
		t.Errorf("a profile with a name of 50000 bytes is taken for %d bytes", size)
	}
	for most, refused := range map[int]bool{49_000: true, 51_000: false, 0: false} {
		limits.MaxProfileSizeBytes = most
		_, reason, err := w.store.prepare("t", &limits, pushed{labelled("process_cpu", "s"), found[""].profile.Copy(), found[""].size})
		if refused != (err != nil && reason == "malformed" && connect.CodeOf(err) == connect.CodeInvalidArgument) {
			t.Errorf("at most %d bytes: %v (%s)", most, err, reason)
		}
	}
}
