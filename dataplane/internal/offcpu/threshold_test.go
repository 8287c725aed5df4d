package offcpu

import (
	"testing"
	"time"
)

// node is threads that wait “rate“ times a second for “long“ each, and what of it is taken at a threshold.
type node struct {
	rate float64
	long time.Duration
}

func (n node) taken(threshold uint64) float64 {
	return n.rate * min(1, float64(n.long)/float64(threshold))
}

func TestTheThresholdHoldsTheBudget(t *testing.T) {
	for name, n := range map[string]node{
		"a busy node":            {200_000, 50 * time.Microsecond},
		"a node of short waits":  {500_000, 12 * time.Microsecond},
		"one that becomes quiet": {100, 50 * time.Millisecond},
	} {
		limit, total, now := begin(2, 0), 0.0, uint64(1)
		at := limit.adapt(0, now)
		if name == "one that becomes quiet" {
			limit.now = float64(longest)
		}
		for range 40 {
			total += n.taken(at)
			now += uint64(time.Second)
			at = limit.adapt(uint64(total), now)
		}
		taken := n.taken(at)
		if taken > 1.2*limit.budget {
			t.Errorf("%s: %.0f stacks a second at %v", name, taken, time.Duration(at))
		}
		if n.rate > limit.budget && taken < 0.8*limit.budget {
			t.Errorf("%s: only %.0f stacks a second at %v", name, taken, time.Duration(at))
		}
		if n.rate < limit.budget && time.Duration(at) != shortest {
			t.Errorf("%s: at %v", name, time.Duration(at))
		}
	}
}

func TestTheThresholdStaysWithinItsBounds(t *testing.T) {
	limit := begin(1, 50) // taken before this agent began
	if at := limit.adapt(60, 1); time.Duration(at) != first {
		t.Errorf("%v before a second has passed", time.Duration(at))
	}
	taken, now := uint64(60), uint64(1)
	for range 20 {
		taken, now = taken+1_000_000_000, now+uint64(time.Second)
		limit.adapt(taken, now)
	}
	if at := limit.adapt(taken+1_000_000_000, now+uint64(time.Second)); time.Duration(at) != longest {
		t.Errorf("%v", time.Duration(at))
	}
	if same := limit.adapt(taken, now+uint64(time.Second)); time.Duration(same) != longest {
		t.Errorf("%v after no time", time.Duration(same))
	}
}
