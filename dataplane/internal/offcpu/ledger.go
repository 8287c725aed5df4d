package offcpu

import (
	"maps"
	"time"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/sampler"
)

// patience is for how many readings time waits for a stack of a wait of its length.
const patience = 30

type entry struct {
	bpf.Block
	bpf.Blocked
}

// stratum are the waits of one length in one cgroup that asks.
type stratum struct {
	at     uint64
	length uint32
}

// ledger knows how long was waited and not told of yet. Some stacks stand for all waits of their length: a long wait
// that was not taken is then missed by none, and one that was taken by chance does not count for many that were not
// there. (Post-stratification, Cochran, Sampling Techniques, 5A.9.)
type ledger struct {
	seen   map[uint64]bpf.All
	owed   map[stratum]debt
	inside map[uint64]uint64 // the cgroup in which all was taken, below the one that asks; itself where there are several
	ends   bool
}

type debt struct {
	nanoseconds uint64
	readings    int
}

// settle makes counts of what was taken, so that they come to what was waited. “all“ is of the cgroups that ask now.
func (l *ledger) settle(taken []entry, all map[uint64]bpf.All) []sampler.Count {
	l.read(all)
	told := map[stratum]uint64{}
	for _, each := range taken {
		told[stratum{each.At, each.Length}] += each.Nanoseconds
		if before, known := l.inside[each.At]; known && before != each.Cgroup {
			l.inside[each.At] = each.At
		} else {
			l.inside[each.At] = each.Cgroup
		}
	}
	var found []sampler.Count
	for _, each := range taken {
		in := stratum{each.At, each.Length}
		long := float64(each.Nanoseconds)
		if debt, known := l.owed[in]; known && told[in] > 0 {
			long *= float64(debt.nanoseconds) / float64(told[in])
		}
		found = append(found, count(each.Block, each.Number, long))
	}
	for in := range told {
		delete(l.owed, in)
	}
	for in, debt := range l.owed {
		_, asks := all[in.at]
		debt.readings++
		l.owed[in] = debt
		if asks && !l.ends && debt.readings < patience {
			continue
		}
		delete(l.owed, in)
		cgroup, known := l.inside[in.at]
		if !known {
			cgroup = in.at
		}
		found = append(found, count(bpf.Block{Cgroup: cgroup}, 0, float64(debt.nanoseconds))) // whose stack nobody knows
	}
	maps.DeleteFunc(l.inside, func(cgroup, _ uint64) bool { _, asks := all[cgroup]; return !asks })
	return found
}

// read adds what was waited since the last reading.
func (l *ledger) read(all map[uint64]bpf.All) {
	if l.owed == nil {
		l.owed, l.inside = map[stratum]debt{}, map[uint64]uint64{}
	}
	for cgroup, now := range all {
		before := l.seen[cgroup]
		for length, total := range now.Nanoseconds {
			if total < before.Nanoseconds[length] { // it was asked for anew
				before.Nanoseconds[length] = 0
			}
			if more := total - before.Nanoseconds[length]; more > 0 {
				in := stratum{cgroup, uint32(length)}
				debt := l.owed[in]
				debt.nanoseconds += more
				l.owed[in] = debt
			}
		}
	}
	l.seen = all
}

func count(of bpf.Block, number uint64, nanoseconds float64) sampler.Count {
	return sampler.Count{
		Sample: bpf.Sample{
			Cgroup: of.Cgroup, Start: of.Start, Tgid: of.Tgid, Program: of.Program, User: of.User, Kernel: of.Kernel,
		},
		Number: number, Blocked: time.Duration(nanoseconds),
	}
}
