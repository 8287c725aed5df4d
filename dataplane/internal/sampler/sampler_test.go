package sampler

import (
	"testing"
	"time"

	"flameplane.dev/dataplane/bpf"
)

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
