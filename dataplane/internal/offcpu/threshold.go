package offcpu

import "time"

const (
	perCPU = 500 // stacks a second, of 5 to 10 us each: at most half a percent of each CPU

	shortest = 10 * time.Microsecond
	longest  = 4 * time.Second
	first    = time.Millisecond
	rise     = 16 // times, at once; it falls by halves
)

// threshold follows how many stacks are taken: their number falls as it rises.
type threshold struct {
	now    float64 // nanoseconds
	budget float64 // stacks a second
	taken  uint64
	at     uint64 // nanoseconds; 0 before the first
}

func begin(cpus int, taken uint64) threshold {
	return threshold{now: float64(first), budget: float64(perCPU * cpus), taken: taken}
}

// adapt is told how many were taken since the program was loaded.
func (t *threshold) adapt(taken, now uint64) uint64 {
	if t.at != 0 && now > t.at {
		rate := float64(taken-t.taken) / time.Duration(now-t.at).Seconds()
		t.now *= min(max(rate/t.budget, 0.5), rise)
		t.now = min(max(t.now, float64(shortest)), float64(longest))
	}
	t.taken, t.at = taken, now
	return uint64(t.now)
}
