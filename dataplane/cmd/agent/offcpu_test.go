package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

const (
	tolerated = 0.05 // of blocked time, with enough waits
	// Of each wait besides: between the clock that a program reads and the switch lie calls and, on busy CPUs, others. It
	// shows with waits of 40 µs, of which there are hundreds of thousands.
	perWait = 5 * time.Microsecond
)

// waiter is a workload whose blocked time is known, and the kernel's function that it waits in.
type waiter struct {
	workload
	in    string
	leaf  string // the innermost of the kernel that tells what it waits for
	takes int    // at least so many waits
}

func TestBlockedTimeOnANode(t *testing.T) {
	binary, programs := needs(t), built(t)
	counting, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Skipf("NOT RUN: the kernel does not measure BPF programs here: %v", err)
	}
	defer counting.Close()
	both, wait := []string{"cpu", "offcpu"}, func(how string) []string { return []string{how, "15"} }
	waiters := []*waiter{
		{workload: workload{service: "sleeps", types: both, arguments: wait("long")}, in: "do_nanosleep", takes: 280},
		{workload: workload{service: "naps", types: []string{"offcpu"}, arguments: wait("short")}, in: "do_nanosleep", takes: 10_000},
		{workload: workload{service: "pipe", types: both, arguments: wait("pipe")}, in: "vfs_read", leaf: "pipe_read", takes: 500},
		{workload: workload{service: "disk", types: both, arguments: append(wait("disk"), filepath.Join(t.TempDir(), "file"))},
			in: "vfs_read", leaf: "io_schedule", takes: 1000},
		{workload: workload{service: "spins-1", types: both, arguments: wait("spin")}},
		{workload: workload{service: "spins-2", types: both, arguments: wait("spin")}},
		{workload: workload{service: "spins-3", types: both, arguments: wait("spin")}}, // more than a machine of two CPUs has
		{workload: workload{service: "unasked", arguments: wait("long")}},
		{workload: workload{service: "hidden", types: both, arguments: wait("long"),
			annotations: map[string]string{"flameplane.dev/profile": "false"}}},
	}
	workloads := make([]*workload, len(waiters))
	for i, w := range waiters {
		w.hz, w.program = 99, "waits"
		workloads[i] = &w.workload
	}
	n := begin(t, binary, programs, workloads)
	asked(t, n, workloads)
	begun(t, n, programs, workloads)()
	page := n.agent.get("/metrics")
	n.agent.stop(t)
	preempted := 0
	for _, w := range waiters {
		preempted += w.judge(t, n.got, programs["waits"])
	}
	if preempted < 100 {
		t.Errorf("the spinners had their CPUs for themselves: they were preempted %d times", preempted)
	}
	counters(t, page)
}

// An agent that hangs takes no wait, not even the one that it missed the end of; and nothing runs for a service that asks
// no more.
func TestWaitsAreNotTakenOfAHangingAgent(t *testing.T) {
	binary, programs := needs(t), built(t)
	sleeps := &workload{service: "sleeps", program: "waits", hz: 99, types: []string{"offcpu"}, arguments: []string{"long", "20"}}
	n := begin(t, binary, programs, []*workload{sleeps}, "--read=50ms")
	asked(t, n, []*workload{sleeps})
	opened, err := pins.Open(n.pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	waits := func(outcome uint32) uint64 { return counted(t, opened.Maps[bpf.OffOutcomes], outcome) }
	ended := begun(t, n, programs, []*workload{sleeps})
	eventually(t, "waits are taken", func() bool { return waits(bpf.OffKept) > 20 })
	if err := n.agent.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := waits(bpf.OffStale)
	eventually(t, "the heartbeat is stale", func() bool { return waits(bpf.OffStale) > before+50 })
	stale, kept := time.Now(), waits(bpf.OffKept)
	before = waits(bpf.OffStale)
	eventually(t, "it is for some seconds", func() bool {
		return waits(bpf.OffStale) > before+50 && time.Since(stale) > 3*time.Second
	})
	if now := waits(bpf.OffKept); now != kept {
		t.Errorf("%d waits of an agent that hangs", now-kept)
	}
	missed := time.Since(stale)
	if err := n.agent.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "waits are taken again", func() bool { return waits(bpf.OffKept) > kept+20 })
	ended()
	n.services[0]["types"] = []string{"cpu"}
	n.declare(t)
	eventually(t, "nobody asks any more", func() bool {
		var told bpf.OffTold
		return opened.Maps[bpf.OffControl].Lookup(uint32(0), &told) == nil && told.Until == 0
	})
	n.agent.stop(t)
	var said struct{ Blocked int64 }
	if err := json.Unmarshal(sleeps.said, &said); err != nil {
		t.Fatal(err)
	}
	found, most := waited(n.got.of(t, "sleeps "+offCPU)), time.Duration(said.Blocked)-missed
	t.Logf("%v, of at most %v", found, most)
	if found > most+200*time.Millisecond || found < most/2 {
		t.Errorf("%v, of at most %v", found, most)
	}
}

// asked waits until the program is told of the pods that ask, and of no other.
func asked(t *testing.T, n *node, workloads []*workload) {
	t.Helper()
	opened, err := pins.Open(n.pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	for _, w := range workloads {
		var folder syscall.Stat_t
		if err := syscall.Stat(filepath.Join(n.root, "kubepods", "pod"+w.uid), &folder); err != nil {
			t.Fatal(err)
		}
		want := w.types != nil && w.annotations == nil
		eventually(t, w.service+" is asked for, or is not", func() bool {
			var yes bpf.All
			return (opened.Maps[bpf.OffAsked].Lookup(folder.Ino, &yes) == nil) == want
		})
	}
}

// judge compares blocked time with what the program says of itself; it is how often it was preempted.
func (w *waiter) judge(t *testing.T, got *received, program string) int {
	t.Helper()
	var said struct{ Blocked, Waits, Preempted, Often, Seldom int64 }
	if err := json.Unmarshal(w.said, &said); err != nil {
		t.Fatalf("%s: %v: %s", w.service, err, w.said)
	}
	p := got.of(t, w.service+" "+offCPU)
	all := waited(p)
	if w.in == "" {
		t.Logf("%s: %v off the CPU, preempted %d times", w.service, all, said.Preempted)
		spins := w.arguments[0] == "spin"
		// What a spinner waits for is to be loaded from its file.
		if !spins && all != 0 || all > 100*time.Millisecond {
			t.Errorf("%s: %v off the CPU", w.service, all)
		}
		if !spins {
			return 0
		}
		return int(said.Preempted)
	}
	if said.Blocked < 0 {
		t.Logf("NOT RUN: %s: this file system does not read past its cache", w.service)
		return 0
	}
	functions := inFunctions(p, named)
	found, truth := functions[w.in], time.Duration(said.Blocked)
	off, nowhere := found.Seconds()/truth.Seconds()-1, functions["[no stack]"].Seconds()/truth.Seconds()
	t.Logf("%s: %.3f s in %s of %.3f s (%+.1f %%), %d waits, %.1f %% without a stack",
		w.service, found.Seconds(), w.in, truth.Seconds(), 100*off, said.Waits, 100*nowhere)
	slack := tolerated + float64(said.Waits)*perWait.Seconds()/truth.Seconds()
	if math.Abs(off) > slack || nowhere > tolerated || int(said.Waits) < w.takes {
		t.Errorf("%s: %v of %v in %d waits", w.service, found, truth, said.Waits)
	}
	if w.leaf != "" && matching(functions, w.leaf) < found*9/10 {
		t.Errorf("%s: %v in %s: %v", w.service, matching(functions, w.leaf), w.leaf, functions)
	}
	for _, sample := range p.Sample {
		if first := named(sample.Location[0]); first != "schedule" && time.Duration(sample.Value[0]) > truth/10 {
			t.Errorf("%s: the innermost function is %s", w.service, first)
		}
	}
	ours := inFunctions(p, byOffset(t, program))
	if under := ours["main"]; under.Seconds() < 0.9*found.Seconds() {
		t.Errorf("%s: main is in %v of %v", w.service, under, found)
	}
	if said.Often > 0 {
		share := ours["often"].Seconds() / (ours["often"] + ours["seldom"]).Seconds()
		truth := float64(said.Often) / float64(said.Often+said.Seldom)
		t.Logf("%s: %.1f %% of it in one place, by its own account %.1f %%", w.service, 100*share, 100*truth)
		if math.Abs(share-truth) > tolerated {
			t.Errorf("%s: %.3f of it in one place, not %.3f", w.service, share, truth)
		}
	}
	w.labelled(t, got.labels[w.service+" "+offCPU])
	return 0
}

func (w *waiter) labelled(t *testing.T, found map[string]string) {
	t.Helper()
	for label, value := range map[string]string{
		"__name__": offCPU, "service_name": w.service, "team": "shop", "namespace": "shop", "pod": w.service + "-0",
		"container": "main", "node": "n1", "service_version": "1.2.3", "service_git_ref": sha,
	} {
		if found[label] != value {
			t.Errorf("%s: %s is %q", w.service, label, found[label])
		}
	}
}

func waited(p *profile.Profile) (all time.Duration) {
	for _, sample := range p.Sample {
		all += time.Duration(sample.Value[0])
	}
	return all
}

// matching is the longest time of a function whose name ends so: the kernel renames its own.
func matching(functions map[string]time.Duration, end string) (longest time.Duration) {
	for name, long := range functions {
		if regexp.MustCompile(end + "(_timeout)?$").MatchString(name) {
			longest = max(longest, long)
		}
	}
	return longest
}

// counters are what the agent says of the program: waits were taken and left out, none was lost, and it has a cost.
func counters(t *testing.T, page string) {
	t.Helper()
	of := func(name string) float64 {
		found := regexp.MustCompile(`(?m)^flameplane_agent_` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("there is no %s:\n%s", name, page)
		}
		value, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	waits := func(outcome string) float64 { return of(fmt.Sprintf("offcpu_waits_total{outcome=%q}", outcome)) }
	for _, outcome := range []string{"lost_state", "lost_count", "lost_stack", "truncated"} {
		if waits(outcome) != 0 {
			t.Errorf("%v waits were %s", waits(outcome), outcome)
		}
	}
	few := runtime.NumCPU() <= 4 // more of them may take all
	if waits("kept") < 1000 || few && waits("left_out") < 1000 || waits("off") == 0 || waits("taken")+waits("late") < waits("kept") {
		t.Errorf("kept %v, taken %v, left out %v, off %v", waits("kept"), waits("taken"), waits("left_out"), waits("off"))
	}
	for _, program := range []string{bpf.OnCPU, bpf.OffCPU} {
		runs, seconds := of(fmt.Sprintf("bpf_runs_total{program=%q}", program)), of(fmt.Sprintf("bpf_run_seconds_total{program=%q}", program))
		missed := of(fmt.Sprintf("bpf_missed_runs_total{program=%q}", program))
		if runs == 0 || seconds == 0 {
			t.Errorf("%s ran %v times in %v s", program, runs, seconds)
		}
		t.Logf("%s: %.0f runs of %.2f us, %.0f missed", program, runs, 1e6*seconds/runs, missed)
	}
	t.Logf("%.0f stacks and %.0f late of %.0f waits, all from %v on", waits("taken"), waits("late"), waits("kept")+waits("left_out"),
		time.Duration(of("offcpu_threshold_seconds")*float64(time.Second)))
}
