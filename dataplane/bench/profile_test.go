package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestARecordingHasTheSizeOfARealOneAndTheTotalItSays(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	first, total, err := recording(1, at)
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := recording(1, at)
	other, _, _ := recording(2, at)
	if !bytes.Equal(first, again) || bytes.Equal(first, other) {
		t.Fatal("a seed makes one profile, and each its own")
	}
	if len(first) < 24<<10 || len(first) > 32<<10 {
		t.Fatalf("it has %d bytes", len(first))
	}
	read, err := profile.ParseData(first)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, sample := range read.Sample {
		sum += sample.Value[0]
	}
	if sum != total || len(read.Sample) != stacks {
		t.Fatalf("%d samples of %d ns together, not %d", len(read.Sample), sum, total)
	}
}
