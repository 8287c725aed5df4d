package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/sampler"
)

func TestOnANode(t *testing.T) {
	binary := needs(t)
	programs := built(t)
	burn := []string{burnSecs}
	workloads := []*workload{
		{service: "fast", hz: 99, program: "go", arguments: burn, names: byProfile},
		{service: "slow", hz: 19, program: "c", arguments: burn, names: byFile},
		{service: "changed", hz: 99, program: "c", arguments: burn, names: byFile},
		{service: "frameless", hz: 99, program: "c without frame pointers", arguments: burn, names: byFile, partial: true},
		{service: "kernel", hz: 99, program: "dd", kernel: "read_zero",
			arguments: []string{"if=/dev/zero", "of=/dev/null", "bs=1M", "count=240000", "status=none"}},
		{service: "off", hz: 0, program: "c", arguments: burn, names: byFile},
		{service: "hidden", hz: 99, program: "go", arguments: burn, names: byProfile,
			annotations: map[string]string{"flameplane.dev/profile": "false"}},
	}
	n := begin(t, binary, programs, workloads)
	n.agent.holds(t)
	rates(t, n.pinned, n.root, workloads)
	ended := begun(t, n, programs, workloads)
	eventually(t, "some samples of the service whose rate changes", func() bool {
		samples, _ := total(n.got.of(t, "changed"))
		return samples > 100
	})
	n.services[2]["sampleRateHz"] = 19
	n.declare(t)
	ended()
	page := n.agent.get("/metrics")
	n.agent.stop(t)
	for _, outcome := range []string{"off", "thinned", "kept"} {
		ticks := fmt.Sprintf("flameplane_agent_ticks_total{outcome=%q} ", outcome)
		if strings.Contains(page, ticks+"0\n") || !strings.Contains(page, ticks) {
			t.Errorf("no tick was %s", outcome)
		}
	}
	for _, outcome := range []string{"lost_count", "lost_stack", "truncated"} {
		if !strings.Contains(page, fmt.Sprintf("flameplane_agent_ticks_total{outcome=%q} 0\n", outcome)) {
			t.Errorf("some ticks were %s:\n%s", outcome, page)
		}
	}
	for _, w := range workloads {
		w.judge(t, n.got, programs[w.program])
	}
	samples, cpu := total(n.got.of(t, "changed"))
	if mean := float64(samples) / cpu.Seconds(); mean < 22 || mean > 96 {
		t.Errorf("changed was sampled at %.0f Hz all the time", mean)
	}
	if services := len(n.got.labels); services != 5 {
		t.Errorf("profiles of %v", n.got.labels)
	}
}

// An agent that hangs samples nothing any more, and one that comes back does.
func TestAHangingAgentIsSampledForNoLonger(t *testing.T) {
	binary := needs(t)
	pinned, programs := bpffs(t), built(t)
	loaded(t, binary, pinned)
	folder := t.TempDir()
	services := filepath.Join(folder, "services.json")
	if err := os.WriteFile(services, []byte(`{"baseRateHz": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, folder)
	profiles := filepath.Join(folder, "profiles")
	if err := os.Mkdir(profiles, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(profiles, agentID, agentID); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"--pins=" + pinned, "--services=" + services, "--folder=" + profiles, "--read=50ms", "--every=1s"}
	agent := start(t, binary, plan{}, arguments...)
	busy := exec.Command(programs["c"], "3600")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Process.Kill(); _ = busy.Wait() }()
	opened, err := pins.Open(pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	outcomes := outcomesOf(t, opened)
	eventually(t, "it samples", func() bool { return outcomes().Kept > 20 })
	if err := agent.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := outcomes()
	eventually(t, "the heartbeat is stale", func() bool { return outcomes().Stale > before.Stale+50 })
	hung := outcomes()
	eventually(t, "more ticks", func() bool { return outcomes().Stale > hung.Stale+50 })
	if now := outcomes(); now.Kept != hung.Kept {
		t.Errorf("%d samples of an agent that hangs", now.Kept-hung.Kept)
	}
	if err := agent.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it samples again", func() bool { return outcomes().Kept > hung.Kept+20 })
	if err := agent.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.command.Wait()
	killed := outcomes()
	agent = start(t, binary, plan{}, arguments...) // on the pins that are there: no loader runs when a container restarts
	eventually(t, "the next one samples", func() bool { return outcomes().Kept > killed.Kept+20 })
	agent.stop(t)
	written, _ := filepath.Glob(filepath.Join(profiles, "*.pb.gz"))
	if len(written) == 0 {
		t.Fatalf("no profile was written:\n%s", agent.said)
	}
	opensInPprof(t, written[0])
	refusesOtherMemory(t, opened, busy.Process.Pid)
}

// opensInPprof has `go tool pprof` read a profile, and write what it understood of it.
func opensInPprof(t *testing.T, file string) {
	t.Helper()
	understood := filepath.Join(t.TempDir(), "understood.pb.gz")
	said, err := exec.Command("go", "tool", "pprof", "-symbolize=none", "-proto", "-output="+understood, file).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool pprof %s: %v\n%s", file, err, said)
	}
	samples, cpu := total(readProfile(t, file))
	if same, seen := total(readProfile(t, understood)); same != samples || seen != cpu || samples == 0 {
		t.Errorf("go tool pprof sees %d samples of %v, and not %d of %v", same, seen, samples, cpu)
	}
}

func readProfile(t *testing.T, file string) *profile.Profile {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found, err := profile.ParseData(text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func outcomesOf(t *testing.T, opened *pins.Pins) func() sampler.Outcomes {
	t.Helper()
	from := opened.Maps[bpf.Outcomes]
	return func() sampler.Outcomes {
		return sampler.Outcomes{Kept: counted(t, from, bpf.Kept), Stale: counted(t, from, bpf.Stale)}
	}
}

// What could be read by nobody else is not read by the agent's side either: only the program's own file is.
func refusesOtherMemory(t *testing.T, opened *pins.Pins, pid int) {
	t.Helper()
	tasks, err := process.Tasks(opened)
	if err != nil {
		t.Fatal(err)
	}
	index := slices.IndexFunc(tasks, func(task process.Task) bool { return int(task.Tgid) == pid })
	if index < 0 {
		t.Fatalf("process %d is not among %d", pid, len(tasks))
	}
	memory, id := process.MemoryOf(opened, tasks[index].ID), tasks[index].ID
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	read, refused := 0, 0
	for line := range strings.Lines(string(text)) {
		var start, end uint64
		var flags string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &flags); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 64)
		_, err := memory.ReadAt(data, int64(start))
		open := strings.Contains(line, "/") && flags[1] == '-' && flags[3] == 'p'
		if (err == nil) != open && !strings.Contains(line, "[") {
			t.Errorf("%s: %v", strings.TrimSpace(line), err)
		}
		if err == nil {
			read++
		} else {
			refused++
		}
	}
	if read == 0 || refused < 3 { // data, heap, stack
		t.Errorf("%d mappings could be read, %d could not", read, refused)
	}
	id.Start++
	if _, err := process.MemoryOf(opened, id).ReadAt(make([]byte, 8), 0x400000); err == nil {
		t.Error("a number that was given away again is the same process")
	}
}

func open(t *testing.T, folder string) {
	t.Helper()
	for above := folder; above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Without the capability, and without pins, the agent says what is missing.
func TestSaysWhatTheNodeLacks(t *testing.T) {
	binary := needs(t)
	folder := t.TempDir()
	services := filepath.Join(folder, "services.json")
	if err := os.WriteFile(services, []byte(`{"baseRateHz": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, folder)
	arguments := []string{"agent", "--pins=" + folder, "--services=" + services, "--folder=" + folder}
	cases := map[string]plan{
		"cap_perfmon is not in the permitted set": {UID: agentID, GID: agentID},
		"the loader has not run":                  {UID: agentID, GID: agentID, Capabilities: []int{unix.CAP_PERFMON}},
	}
	if known := numbers(t); known != nil { // as a profile that somebody else wrote
		for name, number := range map[string]int{"bpf": unix.SYS_BPF, "perf_event_open": unix.SYS_PERF_EVENT_OPEN} {
			without := slices.DeleteFunc(slices.Clone(known), func(each int) bool { return each == number })
			cases["seccomp profile does not let "+name+"(2) through"] = plan{
				UID: agentID, GID: agentID, Capabilities: []int{unix.CAP_PERFMON}, Syscalls: without,
			}
		}
	}
	for said, p := range cases {
		p.Command = append([]string{carrying(t, binary)}, arguments...)
		out, err := inContainer(t, p, 0).CombinedOutput()
		if err == nil || !strings.Contains(string(out), said) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
