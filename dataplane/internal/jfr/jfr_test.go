package jfr

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/internal/intake"
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

func apart(t testing.TB) *Apart {
	t.Helper()
	made, err := NewApart()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAProcessApartReadsWhatThisOneWould(t *testing.T) {
	here, err := Parse(recording(t))
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
	if mostMapped == 0 {
		t.Skip("NOT RUN: with the race detector there is no limit")
	}
	events, err := intake.Unpack(recording(t).Events, mostEvents)
	if err != nil {
		t.Fatal(err)
	}
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
		if errors.Is(err, intake.ErrTooLarge) {
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

func TestItWaitsForItsTurn(t *testing.T) {
	one := apart(t)
	one.turn <- struct{}{}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := one.Parse(ctx, recording(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	<-one.turn
	one.program = "/nowhere"
	if _, err := one.Parse(context.Background(), recording(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// Whatever is sent ends with profiles that can be read, or with words.
func FuzzRecording(f *testing.F) {
	events, err := intake.Unpack(recording(f).Events, mostEvents)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(events, []byte{})
	f.Add(recording(f).Events, []byte{1})
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
