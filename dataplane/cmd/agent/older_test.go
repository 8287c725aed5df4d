package main

import (
	"debug/elf"
	"encoding/hex"
	"os"
	"os/exec"
	"testing"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/bpf"
)

// On a kernel before 6.10, loader and agent sample by build id, and cgroups are known by their first sample.
func TestOnAnOlderKernel(t *testing.T) {
	if here := onBooted(t); here.Whole() {
		t.Fatalf("%s is no older kernel", here.Release)
	}
	verified(t, bpf.Older)
	was := allowed(t)
	programs := map[string]string{"c": "/busy-c", "go": "/busy-go"}
	burn := []string{burnSecs}
	workloads := []*workload{
		{service: "native", hz: 99, program: "c", arguments: burn, names: byBuild},
		{service: "golang", hz: 99, program: "go", arguments: []string{"5"}},
		{service: "slow", hz: 19, program: "c", arguments: burn, names: byBuild},
		{service: "off", hz: 0, program: "c", arguments: []string{"1"}},
		{service: "hidden", hz: 99, program: "c", arguments: []string{"1"}, annotations: map[string]string{"flameplane.dev/profile": "false"}},
	}
	moved := &workload{service: "moved", hz: 99, program: "c", arguments: []string{"2"}, names: byBuild}
	n := begin(t, os.Getenv(givenAgent), programs, append(workloads, moved))
	n.agent.holds(t)
	met(t, n, append(workloads, moved))
	begun(t, n, programs, workloads)()
	comesAndGoes(t, n, moved, programs["c"])
	says(t, n,
		`flameplane_agent_kernel_lacks{what="names"} 1`, `flameplane_agent_kernel_lacks{what="offcpu"} 1`,
		`flameplane_agent_ticks_total{outcome="lost_count"} 0`, `flameplane_agent_ticks_total{outcome="lost_stack"} 0`)
	n.agent.stop(t)
	for _, w := range append(workloads, moved) {
		w.judge(t, n.got, programs[w.program])
	}
	together(t, n, append(workloads[:3:3], moved))
	paranoid(t, n, was)
	if kernel := kernelNames(n.got.of(t, "native")); kernel == 0 {
		t.Error("no function of the kernel has a name")
	}
	locked(t, n, bpf.Places)
	if services := len(n.got.labels); services != 4 {
		t.Errorf("profiles of %v", n.got.labels)
	}
}

// met has each pod run a little while nobody is sampled, so that its cgroup is known, then waits for its rate.
func met(t *testing.T, n *node, workloads []*workload) {
	t.Helper()
	declared := make([]uint32, len(workloads))
	for i, w := range workloads {
		declared[i], w.hz = w.hz, 0
		n.services[i]["sampleRateHz"] = 0
	}
	n.declare(t)
	for _, w := range workloads {
		first := exec.Command("/busy-c", "3600")
		opened := inCgroup(t, n.folders[w.service], first)
		defer opened.Close()
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		rates(t, n.pinned, n.root, []*workload{w})
		_ = first.Process.Kill()
		_ = first.Wait()
	}
	for i, w := range workloads {
		w.hz, n.services[i]["sampleRateHz"] = declared[i], declared[i]
	}
	n.declare(t)
	rates(t, n.pinned, n.root, workloads)
}

// inBuild names what the profile has as a place in the file with that program's build id.
func inBuild(t *testing.T, program string) func(*profile.Location) string {
	t.Helper()
	id, name := buildID(t, program), byOffset(t, program)
	return func(location *profile.Location) string {
		if location.Mapping == nil || location.Mapping.BuildID != id {
			return ""
		}
		placed, mapping := *location, *location.Mapping
		placed.Mapping, mapping.File = &mapping, program
		return name(&placed)
	}
}

func buildID(t *testing.T, program string) string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	note, err := file.Section(".note.gnu.build-id").Data()
	if err != nil || len(note) <= 16 {
		t.Fatal(note, err)
	}
	return hex.EncodeToString(note[16:]) // past the header and the name
}
