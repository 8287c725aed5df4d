package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

// On a kernel from 6.10 on there are names, off-CPU time and memory of processes, whichever kernel it is.
func TestOnANewerKernel(t *testing.T) {
	if here := onBooted(t); !here.Whole() {
		t.Fatalf("%s is an older kernel", here.Release)
	}
	verified(t, bpf.Objects)
	was := allowed(t)
	programs := map[string]string{"c": "/busy-c", "go": "/busy-go", "waits": "/waits"}
	burn := []string{burnSecs}
	sleeper := &waiter{workload: workload{
		service: "sleeps", hz: 99, program: "waits", arguments: []string{"long", "15"}, types: []string{"offcpu"},
	}, in: "do_nanosleep", takes: 200}
	// Go's scheduler and monitor do not run under main, and take 5 % of so slow a machine.
	sampled := []*workload{
		{service: "native", hz: 99, program: "c", arguments: burn, names: byFile},
		{service: "golang", hz: 99, program: "go", arguments: burn, names: byProfile, partial: true},
		{service: "slow", hz: 19, program: "c", arguments: burn, names: byFile},
		{service: "slow-golang", hz: 19, program: "go", arguments: burn, names: byProfile, partial: true},
		{service: "off", hz: 0, program: "c", arguments: []string{"1"}},
		{service: "hidden", hz: 99, program: "go", arguments: []string{"1"}, annotations: map[string]string{"flameplane.dev/profile": "false"}},
	}
	moved := &workload{service: "moved", hz: 99, program: "c", arguments: []string{"2"}, names: byFile}
	workloads := append(slices.Clone(sampled), &sleeper.workload)
	n := begin(t, os.Getenv(givenAgent), programs, append(workloads, moved))
	n.agent.holds(t)
	rates(t, n.pinned, n.root, append(sampled, moved))
	asked(t, n, workloads)
	begun(t, n, programs, workloads)()
	comesAndGoes(t, n, moved, programs["c"])
	if strings.Contains(n.agent.get("/metrics"), "flameplane_agent_kernel_lacks{") {
		t.Error("the agent lacks something of this kernel")
	}
	says(t, n,
		`flameplane_agent_ticks_total{outcome="lost_count"} 0`, `flameplane_agent_ticks_total{outcome="lost_stack"} 0`,
		`flameplane_agent_offcpu_waits_total{outcome="lost_state"} 0`, `flameplane_agent_offcpu_waits_total{outcome="lost_count"} 0`,
		`flameplane_agent_offcpu_waits_total{outcome="lost_stack"} 0`, `flameplane_agent_offcpu_waits_total{outcome="truncated"} 0`)
	reads(t, n)
	n.agent.stop(t)
	for _, w := range append(sampled, moved) {
		w.judge(t, n.got, programs[w.program])
	}
	together(t, n, sampled[:4])
	for _, service := range []string{"golang", "slow-golang"} {
		functions := inFunctions(n.got.of(t, service), named)
		if work := functions["heavy"] + functions["light"]; functions["main"] < work*99/100 {
			t.Errorf("%s: %v under main of %v", service, functions["main"], work)
		}
	}
	sleeper.judge(t, n.got, programs["waits"])
	if found := slices.Sorted(maps.Keys(n.got.labels)); !slices.Equal(found,
		[]string{"golang", "moved", "native", "sleeps " + offCPU, "slow", "slow-golang"}) {
		t.Errorf("profiles of %v", found)
	}
	paranoid(t, n, was)
	locked(t, n, bpf.Sampler)
}

// reads asserts what may be read of a process, by the programs that are pinned.
func reads(t *testing.T, n *node) {
	t.Helper()
	opened, err := pins.Open(n.pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	busy := exec.Command("/busy-c", "3600")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Process.Kill(); _ = busy.Wait() }()
	eventually(t, "it is that program", func() bool { // Start returns while the kernel still makes it one
		mapped, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", busy.Process.Pid))
		return err == nil && strings.Contains(string(mapped), busy.Path)
	})
	refusesOtherMemory(t, opened, busy.Process.Pid)
}
