package sampler

import (
	"slices"
	"testing"
	"time"

	"flameplane.dev/dataplane/bpf"
)

func TestListsOfCPUs(t *testing.T) {
	for text, want := range map[string][]int{"0": {0}, "0-1": {0, 1}, "0-1,4,6-7": {0, 1, 4, 6, 7}} {
		if found, err := parseCPUs(text); err != nil || !slices.Equal(found, want) {
			t.Errorf("%s: %v %v", text, found, err)
		}
	}
	for _, text := range []string{"", "a", "1-", "3-1", "0,,2", "-1", "0-99999999"} {
		if found, err := parseCPUs(text); err == nil {
			t.Errorf("%q: %v", text, found)
		}
	}
}

func TestACountWeighsByItsRate(t *testing.T) {
	for hz, want := range map[uint32]time.Duration{99: time.Second, 33: 3 * time.Second} {
		if found := (Count{Sample: bpf.Sample{Hz: hz}, Number: 99}).Time(); found != want {
			t.Errorf("%d Hz: %v", hz, found)
		}
	}
	if found := (Count{Number: 99, Blocked: time.Minute}).Time(); found != time.Minute {
		t.Errorf("waits: %v", found)
	}
}
