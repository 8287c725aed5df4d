package jfr

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/internal/intake"
	"flameplane.dev/dataplane/internal/jfr/forged"
)

// TestMain is also the process that parses.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Child(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func recording(t testing.TB) Recording {
	t.Helper()
	text, err := os.ReadFile("../../contract/profiles/java.jfr.gz")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return Recording{Events: text, Start: now.Add(-time.Minute), End: now, Rate: 100}
}

func unpacked(t testing.TB) []byte {
	t.Helper()
	events, err := intake.Unpack(recording(t).Events, mostEvents)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func apart(t testing.TB) *Apart {
	t.Helper()
	made, err := NewApart()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAProcessApartReadsWhatThisOneWould(t *testing.T) {
	var here []Profile
	err := Parse(recording(t), func(one Profile) error { here = append(here, one); return nil })
	if err != nil {
		t.Fatal(err)
	}
	there, err := apart(t).Parse(context.Background(), recording(t))
	if err != nil || len(there) != len(here) || len(here) == 0 {
		t.Fatalf("%d and %d profiles: %v", len(here), len(there), err)
	}
	for i := range here {
		read, err := profile.ParseData(there[i].Pprof)
		if err != nil || here[i].Name != there[i].Name || len(read.Sample) == 0 {
			t.Errorf("%s: %v", there[i].Name, err)
		}
	}
}

func TestWhatIsNoRecordingIsSaid(t *testing.T) {
	one := apart(t)
	for name, change := range map[string]func(*Recording){
		"words": func(r *Recording) {
			r.Events = []byte("no recording at all, but long enough to have a header of a chunk, which it has not")
		},
		"half of it":   func(r *Recording) { r.Events = r.Events[:len(r.Events)/2] },
		"other labels": func(r *Recording) { r.Contexts = []byte("none") },
	} {
		asked := recording(t)
		change(&asked)
		found, err := one.Parse(context.Background(), asked)
		if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, intake.ErrTooLarge) || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: %d profiles, %v", name, len(found), err)
		}
	}
	asked := recording(t)
	asked.Events = make([]byte, mostEvents+1)
	if _, err := one.Parse(context.Background(), asked); !errors.Is(err, intake.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// A length of four thousand millions, written over each part of a recording in turn, ends the process apart at the most.
func TestLengthsOfARecordingAreNotBelieved(t *testing.T) {
	events := unpacked(t)
	one, ended := apart(t), 0
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x07}
	for _, at := range places {
		asked := recording(t)
		asked.Events = bytes.Clone(events)
		copy(asked.Events[at:], huge)
		_, err := one.Parse(context.Background(), asked)
		if errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		if errors.Is(err, ErrMemory) || errors.Is(err, ErrTime) {
			ended++
		}
	}
	if ended == 0 {
		t.Error("no length was believed by the parser: is a process apart still needed?")
	}
	t.Logf("%d of %d were believed", ended, len(places))
}

// places are in the header, and where trying all has found that a length is believed.
var places = []int{8, 16, 24, 40, 68, 70, 8708, 10184, 12488, 12812, 12920, 13424, 15764, 106300}

// What would use up the memory or the time that there is ends the process apart, in words, and the next recording is read.
func TestAnAttackEndsTheProcessApart(t *testing.T) {
	one := apart(t)
	for name, attack := range map[string]struct {
		forge func(*forged.Recording)
		time  time.Duration
		want  error
	}{
		"names":     {func(r *forged.Recording) { r.Names(1_500_000) }, time.Minute, ErrMemory},
		"samples":   {func(r *forged.Recording) { r.Samples(250_000) }, time.Minute, ErrMemory},
		"circle":    {func(r *forged.Recording) { r.Circle() }, 300 * time.Millisecond, ErrTime},
		"too large": {func(r *forged.Recording) { r.Text = zeros(t, mostEvents+1) }, time.Minute, intake.ErrTooLarge},
		"a bomb":    {func(r *forged.Recording) { r.Text = zeros(t, 4*mostEvents) }, time.Minute, intake.ErrTooLarge},
	} {
		made, err := forged.From(unpacked(t))
		if err != nil {
			t.Fatal(err)
		}
		attack.forge(made)
		if len(made.Text) > mostEvents {
			t.Fatalf("%s: %d bytes", name, len(made.Text))
		}
		asked := recording(t)
		asked.Events, one.longest = made.Text, attack.time
		if found, err := one.Parse(context.Background(), asked); !errors.Is(err, attack.want) || found != nil {
			t.Errorf("%s: %d profiles, %v", name, len(found), err)
		}
		one.longest = time.Minute
		if found, err := one.Parse(context.Background(), recording(t)); err != nil || len(found) == 0 {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// zeros are packed.
func zeros(t testing.TB, count int64) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	if _, err := io.CopyN(zipped, zero{}, count); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zero struct{}

func (zero) Read(into []byte) (int, error) { clear(into); return len(into), nil }

func TestCPUTimeThatIsNotWantedIsNotMade(t *testing.T) {
	asked := recording(t)
	asked.WithoutCPU = true
	found, err := apart(t).Parse(context.Background(), asked)
	if err != nil || len(found) != 1 || found[0].Name != CPU || found[0].Pprof != nil {
		t.Errorf("%v %v", found, err)
	}
}

// Whatever becomes of the process apart is told, and what it says is bounded.
func TestHowTheProcessEndsIsTold(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	defer end()
	for _, one := range []struct {
		program string
		ctx     context.Context
		want    error
	}{
		{"/nowhere", context.Background(), ErrUnavailable},
		{"exit 1", context.Background(), ErrUnavailable},
		{"exit 4", context.Background(), intake.ErrTooLarge},
		{"exit 2", context.Background(), ErrMemory},
		{"kill -9 $$", context.Background(), ErrMemory},
		{"exec cat /dev/zero", context.Background(), intake.ErrTooLarge},
		{"exec cat /dev/zero >/dev/null", ended, ErrUnavailable},
	} {
		run := apart(t)
		run.program, run.arguments, run.longest = "/bin/sh", []string{"-c", one.program}, time.Minute
		if strings.HasPrefix(one.program, "/") {
			run.program = one.program
		}
		if one.ctx == ended {
			time.AfterFunc(100*time.Millisecond, end)
		}
		if _, err := run.Parse(one.ctx, recording(t)); !errors.Is(err, one.want) {
			t.Errorf("%s: %v", one.program, err)
		}
	}
}

func TestItWaitsForItsTurn(t *testing.T) {
	one := apart(t)
	one.turn <- struct{}{}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := one.Parse(ctx, recording(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// Whatever is sent ends with profiles that can be read, or with words.
func FuzzRecording(f *testing.F) {
	f.Add(unpacked(f), []byte{})
	f.Add(recording(f).Events, []byte{1})
	made, err := forged.From(unpacked(f))
	if err != nil {
		f.Fatal(err)
	}
	made.Samples(100)
	f.Add(made.Text, []byte{})
	f.Fuzz(func(t *testing.T, events, contexts []byte) {
		asked := recording(t)
		asked.Events, asked.Contexts = events, contexts
		one := apart(t)
		one.longest = 300 * time.Millisecond
		found, err := one.Parse(context.Background(), asked)
		if errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		for _, each := range found {
			_ = intake.Use(each.Pprof, mostAnswer, func(*profile.Profile) error { return nil })
		}
	})
}
