package main

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/preflight"
)

// What the tests of booted kernels share: what such a kernel takes, and what it refuses.

// onBooted ends a test that is not in a machine booted for it.
func onBooted(t *testing.T) preflight.Node {
	t.Helper()
	if !isGuest() {
		t.Skip("NOT RUN: tests/cluster/test_another_kernel.py boots a kernel for it")
	}
	here, err := preflight.Here()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Linux %s", here.Release)
	return here
}

// says asserts lines of the agent's metrics.
func says(t *testing.T, n *node, lines ...string) {
	t.Helper()
	page := n.agent.get("/metrics")
	for _, line := range lines {
		if !strings.Contains(page, line+"\n") {
			t.Fatalf("no %s in\n%s", line, page)
		}
	}
}

// verified loads what the loader loads, and tells what the verifier says of it.
func verified(t *testing.T, objects []string) {
	t.Helper()
	for _, name := range objects {
		spec, err := bpf.Spec(name)
		if err != nil {
			t.Fatal(err)
		}
		collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
			Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
		})
		if err != nil {
			t.Errorf("%s: %+v", name, err)
			continue
		}
		for program, loaded := range collection.Programs {
			t.Logf("verifier: %s/%s: %s", name, program, strings.ReplaceAll(strings.TrimSpace(loaded.VerifierLog), "\n", "; "))
		}
		collection.Close()
	}
}

func asAgent(t *testing.T, pinned, services string) plan {
	t.Helper()
	folder := t.TempDir()
	open(t, folder)
	return plan{
		UID: agentID, GID: agentID, Capabilities: []int{unix.CAP_PERFMON},
		Command: []string{carrying(t, os.Getenv(givenAgent)), "agent", "--pins=" + pinned, "--services=" + services, "--folder=" + folder},
	}
}

// refused asserts that it ends by itself, with code 1 and these words.
func refused(t *testing.T, p plan, words ...string) {
	t.Helper()
	said, err := inContainer(t, p, 0).CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 ||
		slices.ContainsFunc(words, func(each string) bool { return !strings.Contains(string(said), each) }) {
		t.Errorf("%v: not %q:\n%s", err, words, said)
	}
	t.Logf("%s", said)
}

// together holds the sum of several programs to a tighter bound than each: whose turn it is at a tick is chance, that it is
// somebody's is not.
func together(t *testing.T, n *node, workloads []*workload) {
	t.Helper()
	var found, all time.Duration
	for _, w := range workloads {
		_, cpu := total(n.got.of(t, w.service))
		found, all = found+cpu, all+w.accounted
	}
	off := found.Seconds()/all.Seconds() - 1
	t.Logf("together: %.2f s of %.2f s accounted (%+.1f %%)", found.Seconds(), all.Seconds(), 100*off)
	if math.Abs(off) > 0.05 {
		t.Errorf("%v of %v", found, all)
	}
}

const setting = "/proc/sys/kernel/perf_event_paranoid"

// allowed does what a node's administrator does where CAP_PERFMON does not suffice, and says how it was.
func allowed(t *testing.T) (was string) {
	t.Helper()
	text, err := os.ReadFile(setting)
	if err != nil {
		t.Fatal(err)
	}
	put(t, setting, "2")
	return strings.TrimSpace(string(text))
}

// paranoid asserts that the agent names the setting by which kernels of Debian refuse CAP_PERFMON.
func paranoid(t *testing.T, n *node, was string) {
	t.Helper()
	if was <= "2" {
		return // a kernel that knows no more levels
	}
	put(t, setting, was)
	refused(t, asAgent(t, n.pinned, n.file),
		"open a perf event on CPU 0: permission denied", "sysctl kernel.perf_event_paranoid=2")
}

// locked asserts that the loader names the lockdown under which the kernel refuses the sampler. There is no way back.
func locked(t *testing.T, n *node, object string) {
	t.Helper()
	const setting, words = "/sys/kernel/security/lockdown", "locked down for confidentiality"
	if err := os.WriteFile(setting, []byte("confidentiality"), 0o644); err != nil {
		t.Logf("NOT RUN: the kernel cannot be locked down: %v", err)
		return
	}
	refused(t, asLoader(os.Getenv(givenAgent), n.pinned), words)
	spec, err := bpf.Spec(object)
	if err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollection(spec)
	if err == nil {
		collection.Close()
		t.Error("the kernel takes the programs all the same")
	}
	// A container sees no securityfs: there the verifier's words are all there is.
	if here := (preflight.Node{Root: t.TempDir()}); err != nil && !strings.Contains(here.Explain(err).Error(), words) {
		t.Errorf("not explained: %v", err)
	}
	t.Logf("locked down for confidentiality, the kernel says: %v", err)
}

func kernelNames(p *profile.Profile) (found int) {
	for _, location := range p.Location {
		if location.Mapping != nil && location.Mapping.File == "[kernel]" && len(location.Line) > 0 {
			found++
		}
	}
	return found
}
