package offcpu

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/sampler"
)

const (
	pod, main, sidecar = 10, 11, 12
	fast, slow         = 1, 2 // stacks
)

func block(cgroup, stack uint64, length uint32, long time.Duration) entry {
	return entry{bpf.Block{Cgroup: cgroup, At: pod, Kernel: stack, Length: length}, bpf.Blocked{Number: 1, Nanoseconds: uint64(long)}}
}

func all(long ...time.Duration) map[uint64]bpf.All {
	var a bpf.All
	for i, each := range long {
		a.Nanoseconds[i] = uint64(each)
	}
	return map[uint64]bpf.All{pod: a}
}

func byStack(counts []sampler.Count) map[uint64]time.Duration {
	found := map[uint64]time.Duration{}
	for _, each := range counts {
		found[each.Kernel] += each.Blocked
	}
	return found
}

func TestStacksComeToWhatWasWaited(t *testing.T) {
	var l ledger
	// Of four waits of 10 us one was taken, and weighs 4; of a long one none was.
	found := l.settle([]entry{block(main, fast, 0, 44*time.Microsecond)}, all(40*time.Microsecond, time.Second))
	if by := byStack(found); len(found) != 1 || by[fast] != 40*time.Microsecond {
		t.Errorf("%v", by)
	}
	// The long one's time is told with the next that is taken, whose weight was too much.
	found = l.settle([]entry{block(main, slow, 1, 8*time.Second)}, all(40*time.Microsecond, 3*time.Second))
	if by := byStack(found); len(found) != 1 || by[slow] != 3*time.Second {
		t.Errorf("%v", by)
	}
	// Two stacks of one length share its time by their weights.
	found = l.settle([]entry{block(main, fast, 1, 2*time.Second), block(main, slow, 1, 6*time.Second)},
		all(40*time.Microsecond, 7*time.Second))
	if by := byStack(found); by[fast] != time.Second || by[slow] != 3*time.Second {
		t.Errorf("%v", by)
	}
}

func TestTimeOfNoKnownStackIsTold(t *testing.T) {
	var l ledger
	l.settle([]entry{block(main, fast, 0, time.Second)}, all(time.Second))
	for reading := 1; reading < patience; reading++ {
		if found := l.settle(nil, all(time.Second, time.Minute)); len(found) != 0 {
			t.Fatalf("after %d readings: %v", reading, found)
		}
	}
	found := l.settle(nil, all(time.Second, time.Minute))
	if len(found) != 1 || found[0].Blocked != time.Minute || found[0].Cgroup != main || found[0].Kernel != 0 || found[0].Number != 0 {
		t.Errorf("%+v", found)
	}
	if again := l.settle(nil, all(time.Second, time.Minute)); len(again) != 0 {
		t.Errorf("%+v", again)
	}
	// It is of the pod where it may be of several containers, and told at once when nobody asks any more.
	l.settle([]entry{block(sidecar, fast, 0, time.Second)}, all(2*time.Second, 2*time.Minute))
	if found := l.settle(nil, nil); len(found) != 1 || found[0].Cgroup != pod || found[0].Blocked != time.Minute {
		t.Errorf("%+v", found)
	}
	// What came after that has only its weight.
	if by := byStack(l.settle([]entry{block(main, fast, 0, time.Hour)}, nil)); by[fast] != time.Hour {
		t.Errorf("%v", by)
	}
	// Asked for anew, the kernel begins at nothing; the end waits for no stack.
	l.ends = true
	if found := l.settle(nil, all(time.Second)); len(found) != 1 || found[0].Blocked != time.Second {
		t.Errorf("%+v", found)
	}
}

// A stack of many short waits and one of few long ones, in one thread that waits half a millisecond on average: shares come out
// right over many readings, and the sum in each of them.
func TestSharesAreRightOnAverage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var l ledger
	var waited bpf.All
	told, truth := map[uint64]float64{}, map[uint64]float64{}
	sum := 0.0
	for range 2000 {
		var taken []entry
		for i := range 200 {
			stack, length, long := uint64(fast), uint32(0), 10*time.Microsecond
			if i%20 == 0 {
				stack, length, long = slow, 5, 9*time.Millisecond
			} else if i%2 == 0 {
				stack = slow // both wait shortly
			}
			truth[stack] += long.Seconds()
			waited.Nanoseconds[length] += uint64(long)
			if random.IntN(64) == 0 {
				taken = append(taken, block(main, stack, length, 64*long))
			}
		}
		for stack, long := range byStack(l.settle(taken, map[uint64]bpf.All{pod: waited})) {
			told[stack] += long.Seconds()
			sum += long.Seconds()
		}
	}
	if off := sum/(truth[fast]+truth[slow]) - 1; math.Abs(off) > 0.02 { // what is owed is missing
		t.Errorf("%.1f %% off in all", 100*off)
	}
	if off := told[fast]/truth[fast] - 1; math.Abs(off) > 0.02 {
		t.Errorf("%.1f %% off of the short waits", 100*off)
	}
	if told[0] > 0.02*truth[slow] {
		t.Errorf("%v s of no stack", told[0])
	}
}
