package main

import (
	"debug/elf"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/preflight"
)

// On a kernel before 6.10, loader and agent sample by build id, and cgroups are known by their first sample.
func TestOnAnOlderKernel(t *testing.T) {
	if !isGuest() {
		t.Skip("NOT RUN: tests/cluster/test_older_kernel.py boots an older kernel for it")
	}
	here, err := preflight.Here()
	if err != nil {
		t.Fatal(err)
	}
	if here.Whole() {
		t.Fatalf("%s is no older kernel", here.Release)
	}
	t.Logf("Linux %s", here.Release)
	verified(t)
	was, err := os.ReadFile(setting)
	if err != nil {
		t.Fatal(err)
	}
	put(t, setting, "2")
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
	done := make(chan error, len(workloads))
	for _, w := range workloads {
		go w.run(t, programs[w.program], n.folders[w.service], done)
	}
	for range workloads {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	comesAndGoes(t, n, moved, programs["c"])
	page := n.agent.get("/metrics")
	n.agent.stop(t)
	t.Logf("the agent said:\n%s", n.agent.said)
	for _, line := range []string{
		`flameplane_agent_kernel_lacks{what="names"} 1`, `flameplane_agent_kernel_lacks{what="offcpu"} 1`,
		`flameplane_agent_ticks_total{outcome="lost_count"} 0`, `flameplane_agent_ticks_total{outcome="lost_stack"} 0`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	for _, w := range append(workloads, moved) {
		w.judge(t, n.got, programs[w.program])
		w.holdsWithin(t, n.got, 0.05)
	}
	if level := strings.TrimSpace(string(was)); level > "2" {
		paranoid(t, n, level)
	}
	if kernel := kernelNames(n.got.of(t, "native")); kernel == 0 {
		t.Error("no function of the kernel has a name")
	}
	locked(t, n)
	if services := len(n.got.labels); services != 4 {
		t.Errorf("profiles of %v", n.got.labels)
	}
}

// holdsWithin allows a share of what is accounted, and once the error of chance.
func (w *workload) holdsWithin(t *testing.T, got *received, share float64) {
	t.Helper()
	if w.hz == 0 || w.annotations != nil {
		return
	}
	samples, cpu := total(got.of(t, w.service))
	if chance := 1 / math.Sqrt(float64(samples)); math.Abs(cpu.Seconds()/w.accounted.Seconds()-1) > share+chance {
		t.Errorf("%s: %v of %v", w.service, cpu, w.accounted)
	}
}

const setting = "/proc/sys/kernel/perf_event_paranoid"

// paranoid asserts that the agent names the setting by which kernels of Debian refuse CAP_PERFMON.
func paranoid(t *testing.T, n *node, was string) {
	t.Helper()
	put(t, setting, was)
	folder := t.TempDir()
	open(t, folder)
	said, err := inContainer(t, plan{
		UID: agentID, GID: agentID, Capabilities: []int{unix.CAP_PERFMON},
		Command: []string{carrying(t, os.Getenv(givenAgent)), "agent", "--pins=" + n.pinned, "--services=" + n.file, "--folder=" + folder},
	}, 0).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "open a perf event on CPU 0: permission denied") ||
		!strings.Contains(string(said), "sysctl kernel.perf_event_paranoid=2") {
		t.Errorf("%v\n%s", err, said)
	}
	t.Logf("refused where kernel.perf_event_paranoid is %s, as it was", was)
}

// locked asserts that the loader names the lockdown under which the kernel refuses the programs. There is no way back.
func locked(t *testing.T, n *node) {
	t.Helper()
	const setting = "/sys/kernel/security/lockdown"
	if err := os.WriteFile(setting, []byte("confidentiality"), 0o644); err != nil {
		t.Logf("NOT RUN: the kernel cannot be locked down: %v", err)
		return
	}
	said, err := inContainer(t, plan{
		GID: agentID, Capabilities: []int{unix.CAP_BPF, unix.CAP_PERFMON},
		Command: []string{os.Getenv(givenAgent), "loader", "--pins=" + n.pinned, fmt.Sprintf("--gid=%d", agentID)},
	}, 0).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "locked down for confidentiality") {
		t.Errorf("%v\n%s", err, said)
	}
	spec, err := bpf.Spec(bpf.Places)
	if err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollection(spec)
	if err == nil {
		collection.Close()
		t.Error("the kernel takes the programs all the same")
	}
	// A container sees no securityfs: there the verifier's words are all there is.
	if here := (preflight.Node{Root: t.TempDir()}); err != nil && !strings.Contains(here.Explain(err).Error(), "locked down for confidentiality") {
		t.Errorf("not explained: %v", err)
	}
	t.Logf("locked down for confidentiality, the kernel says: %v", err)
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

// verified loads what the loader loads, and tells what the verifier says of it.
func verified(t *testing.T) {
	t.Helper()
	for _, name := range bpf.Older {
		spec, err := bpf.Spec(name)
		if err != nil {
			t.Fatal(err)
		}
		collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
			Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
		})
		if err != nil {
			t.Fatalf("%s: %+v", name, err)
		}
		for program, loaded := range collection.Programs {
			t.Logf("verifier: %s/%s: %s", name, program, strings.ReplaceAll(strings.TrimSpace(loaded.VerifierLog), "\n", "; "))
		}
		collection.Close()
	}
}

func kernelNames(p *profile.Profile) (found int) {
	for _, location := range p.Location {
		if location.Mapping != nil && location.Mapping.File == "[kernel]" && len(location.Line) > 0 {
			found++
		}
	}
	return found
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
