package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const second = "/sys/devices/system/cpu/cpu1/online" // of a machine that begins with the first alone

// comesAndGoes has a CPU come online, be away for less than a reading, and for longer. A program that runs on it each time
// has all its CPU time in the profile.
func comesAndGoes(t *testing.T, n *node, w *workload, program string) {
	t.Helper()
	says := func(line string) {
		t.Helper()
		eventually(t, line, func() bool { return strings.Contains(n.agent.get("/metrics"), "\nflameplane_agent_"+line+"\n") })
	}
	opened := func(number int) { says(fmt.Sprintf(`perf_events_total{outcome="opened"} %d`, number)) }
	all := *w
	for i, away := range []func(){
		func() { says("cpus 1") },
		func() { put(t, second, "0") },
		func() { put(t, second, "0"); says("cpus 1") },
	} {
		away()
		put(t, second, "1")
		opened(i + 2)
		says("cpus 2")
		onSecond(t, func() {
			done := make(chan error, 1)
			w.run(t, program, n.folders[w.service], done)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
		all.accounted, all.heavy, all.light = all.accounted+w.accounted, all.heavy+w.heavy, all.light+w.light
	}
	*w = all
	put(t, second, "0")
	says("cpus 1")
	says(`perf_events_total{outcome="refused"} 0`)
}

// onSecond does it on the second CPU, and has what it starts run there.
func onSecond(t *testing.T, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, there unix.CPUSet
	there.Set(1)
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.SchedSetaffinity(0, &there); err != nil {
		t.Fatal(err)
	}
	do()
	if err := unix.SchedSetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
}

// put is what the node's administrator does.
func put(t *testing.T, setting, value string) {
	t.Helper()
	if err := os.WriteFile(setting, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}
