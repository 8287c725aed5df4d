package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/sampler"
)

const (
	agentID  = 47113
	perfmon  = "0000004000000000"
	burnSecs = 15
	sha      = "0123456789abcdef0123456789abcdef01234567"
)

// running is an agent as the DaemonSet runs it.
type running struct {
	command *exec.Cmd
	metrics string
	said    *bytes.Buffer
}

// loaded runs the loader with exactly BPF and PERFMON, as root of the agent's group.
func loaded(t *testing.T, binary, pinned string) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "agent.json")
	said, err := inContainer(t, plan{
		GID: agentID, Capabilities: []int{unix.CAP_BPF, unix.CAP_PERFMON},
		Command: []string{binary, "loader", "--pins=" + pinned, "--seccomp-profile=" + profile, fmt.Sprintf("--gid=%d", agentID)},
	}, 0).CombinedOutput()
	if err != nil {
		t.Fatalf("loader: %v\n%s", err, said)
	}
	if _, err := os.Stat(profile); err != nil {
		t.Fatal(err)
	}
}

func inContainer(t *testing.T, p plan, namespaces uintptr) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), containedPlan+"="+written(t, p))
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	return command
}

// carrying is a copy of the binary with the file capability cap_perfmon=p, as the image has it.
func carrying(t *testing.T, program string) string {
	t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for above := folder; above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(folder, "agent")
	if err := os.WriteFile(copied, content, 0o755); err != nil {
		t.Fatal(err)
	}
	// struct vfs_cap_data, revision 2: permitted and inheritable, 32 bits each, twice.
	words := []uint32{0x02000000, 0, 0, 1 << (unix.CAP_PERFMON - 32), 0}
	var data []byte
	for _, word := range words {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	if err := unix.Setxattr(copied, "security.capability", data, 0); err != nil {
		t.Skipf("NOT RUN: no file capability can be set: %v", err)
	}
	return copied
}

// start starts the agent with exactly PERFMON, in a pid namespace of its own, under its seccomp profile.
func start(t *testing.T, binary string, p plan, arguments ...string) *running {
	t.Helper()
	r := &running{metrics: freePort(t), said: &bytes.Buffer{}}
	p.UID, p.GID, p.Capabilities, p.OwnRun, p.Syscalls = agentID, agentID, []int{unix.CAP_PERFMON}, true, numbers(t)
	p.Command = append([]string{carrying(t, binary), "agent", "--metrics=" + r.metrics}, arguments...)
	r.command = inContainer(t, p, syscall.CLONE_NEWPID|syscall.CLONE_NEWNS)
	r.command.Stdout, r.command.Stderr = r.said, r.said
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.command.Process.Kill() })
	return r
}

// get is a page of the agent, empty where there is none yet.
func (r *running) get(path string) string {
	answer, err := http.Get("http://" + r.metrics + path)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(text)
}

// stop lets it send what it has.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.command.Wait(); err != nil {
		t.Fatalf("agent: %v\n%s", err, r.said)
	}
}

// holds asserts what the kernel says of the running agent.
func (r *running) holds(t *testing.T) {
	t.Helper()
	process := r.command.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		found[key] = strings.Join(strings.Fields(value), " ")
	}
	seccomp := "2"
	if numbers(t) == nil {
		seccomp = "0"
	}
	id := fmt.Sprint(agentID)
	for key, want := range map[string]string{
		"Uid": strings.Join(slices.Repeat([]string{id}, 4), " "), "Gid": strings.Join(slices.Repeat([]string{id}, 4), " "),
		"CapPrm": perfmon, "CapEff": perfmon, "CapBnd": perfmon, "CapInh": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": seccomp, "NSpid": fmt.Sprintf("%d 1", process), "Groups": "",
	} {
		if found[key] != want {
			t.Errorf("%s is %q, not %q", key, found[key], want)
		}
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", process))
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	for _, thread := range threads {
		if text, err := os.ReadFile(thread); err == nil && !strings.Contains(string(text), "CapEff:\t"+perfmon) {
			t.Errorf("%s holds something else", thread)
		}
	}
}

// workload is a program whose CPU time is known.
type workload struct {
	service, uid string
	hz           uint32
	annotations  map[string]string
	language     string

	used         time.Duration
	heavy, light time.Duration
}

// run runs it to its end, and notes what it used.
func (w *workload) run(t *testing.T, program, cgroup string, done chan<- error) {
	command := exec.Command(program, fmt.Sprint(burnSecs))
	var out bytes.Buffer
	command.Stdout = &out
	opened := inCgroup(t, cgroup, command)
	defer opened.Close()
	err := command.Run()
	if err == nil {
		var said struct{ Heavy, Light int64 }
		err = json.Unmarshal(out.Bytes(), &said)
		w.heavy, w.light = time.Duration(said.Heavy), time.Duration(said.Light)
		w.used = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	}
	done <- err
}

func built(t *testing.T) map[string]string {
	t.Helper()
	folder := t.TempDir()
	found := map[string]string{"go": filepath.Join(folder, "busygo"), "c": filepath.Join(folder, "busyc")}
	compiler := exec.Command("gcc", "-O2", "-g", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-Wl,--build-id",
		"-o", found["c"], "testdata/busyc/busy.c")
	linker := exec.Command("go", "build", "-o", found["go"], "./testdata/busygo")
	linker.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, command := range []*exec.Cmd{compiler, linker} {
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	return found
}

// inFunctions is the CPU time in which each function of a program was somewhere in the stack.
func inFunctions(p *profile.Profile, name func(*profile.Location) string) map[string]time.Duration {
	found := map[string]time.Duration{}
	for _, sample := range p.Sample {
		seen := map[string]bool{}
		for _, location := range sample.Location {
			if function := name(location); function != "" && !seen[function] {
				seen[function] = true
				found[function] += time.Duration(sample.Value[1])
			}
		}
	}
	return found
}

func named(location *profile.Location) string {
	if len(location.Line) == 0 {
		return ""
	}
	return strings.TrimPrefix(location.Line[0].Function.Name, "main.")
}

// byOffset names what the profile has as a place in a file, as a backend's symboliser would.
func byOffset(t *testing.T, program string) func(*profile.Location) string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return func(location *profile.Location) string {
		if location.Mapping == nil || location.Mapping.File != program {
			return ""
		}
		for _, segment := range file.Progs {
			if segment.Type != elf.PT_LOAD || location.Address < segment.Off || location.Address >= segment.Off+segment.Filesz {
				continue
			}
			address := location.Address - segment.Off + segment.Vaddr
			for _, symbol := range all {
				if elf.ST_TYPE(symbol.Info) == elf.STT_FUNC && symbol.Value <= address && address < symbol.Value+symbol.Size {
					return symbol.Name
				}
			}
		}
		return ""
	}
}

func total(p *profile.Profile) (samples int64, cpu time.Duration) {
	for _, sample := range p.Sample {
		samples, cpu = samples+sample.Value[0], cpu+time.Duration(sample.Value[1])
	}
	return samples, cpu
}

// within is whether a number of samples may stand for that much CPU time: five times the error of chance.
func within(measured, used time.Duration, hz uint32) bool {
	expected := used.Seconds() * float64(hz)
	return math.Abs(measured.Seconds()*float64(hz)-expected) <= 5*math.Sqrt(expected)
}

func TestOnANode(t *testing.T) {
	binary := needs(t)
	pinned, root, programs := bpffs(t), cgroups(t), built(t)
	loaded(t, binary, pinned)
	workloads := []*workload{
		{service: "fast", uid: "00000000-0000-0000-0000-000000000001", hz: 99, language: "go"},
		{service: "slow", uid: "00000000-0000-0000-0000-000000000002", hz: 19, language: "c"},
		{service: "off", uid: "00000000-0000-0000-0000-000000000003", hz: 0, language: "c"},
		{service: "hidden", uid: "00000000-0000-0000-0000-000000000004", hz: 99, language: "go",
			annotations: map[string]string{"flameplane.dev/profile": "false"}},
	}
	var pods []core.Pod
	var declared []map[string]any
	folders := map[string]string{}
	for i, w := range workloads {
		sandbox(t, root, w.uid, 100+i)
		folder, id := container(t, root, w.uid, i+1)
		folders[w.service] = folder
		pod := core.Pod{
			ObjectMeta: meta.ObjectMeta{UID: types.UID(w.uid), Name: w.service + "-0", Namespace: "shop", Labels: map[string]string{
				"app": w.service, "git": sha, "version": "1.2.3",
			}, Annotations: w.annotations},
			Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{{Name: "main", ContainerID: "containerd://" + id}}},
		}
		pods = append(pods, pod)
		declared = append(declared, map[string]any{
			"service": w.service, "team": "shop", "namespace": "shop", "selector": map[string]string{"app": w.service},
			"sampleRateHz": w.hz, "types": []string{"cpu"}, "cpuSource": "ebpf",
			"labels": map[string]string{"version": "version", "gitRef": "git", "track": "track"},
		})
	}
	text, err := json.Marshal(map[string]any{"baseRateHz": 99, "optOutAnnotation": "flameplane.dev/profile", "services": declared})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	services, token := filepath.Join(folder, "services.json"), filepath.Join(folder, "token")
	for path, content := range map[string][]byte{services: text, token: []byte("gateway-token")} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open(t, folder)
	api, authority := apiServer(t, pods)
	host, port, _ := strings.Cut(api, ":")
	got, address := gateway(t)
	agent := start(t, binary, plan{
		Token: "api-token", Authority: authority,
		Environment: []string{"NODE_NAME=n1", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port},
	}, "--pins="+pinned, "--services="+services, "--gateway="+address, "--gateway-token="+token, "--every=5s")
	eventually(t, "the agent knows its pods", func() bool {
		return strings.Contains(agent.get("/metrics"), `flameplane_agent_pods{node="n1",service="fast",team="shop"} 1`)
	})
	agent.holds(t)
	rates(t, pinned, len(workloads))
	done := make(chan error, len(workloads))
	for _, w := range workloads {
		go w.run(t, programs[w.language], folders[w.service], done)
	}
	for range workloads {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	page := agent.get("/metrics")
	agent.stop(t)
	for _, outcome := range []string{"off", "thinned", "kept"} {
		if strings.Contains(page, fmt.Sprintf("outcome=%q} 0\n", outcome)) || !strings.Contains(page, fmt.Sprintf("outcome=%q} ", outcome)) {
			t.Errorf("no tick was %s", outcome)
		}
	}
	for _, outcome := range []string{"lost_count", "lost_stack", "truncated"} {
		if !strings.Contains(page, fmt.Sprintf("outcome=%q} 0\n", outcome)) {
			t.Errorf("some ticks were %s:\n%s", outcome, page)
		}
	}
	for _, w := range workloads {
		w.judge(t, got, programs[w.language])
	}
	if services := len(got.labels); services != 2 {
		t.Errorf("profiles of %v", got.labels)
	}
}

// sandbox is the process that holds a pod together: it is there before any of the pod's containers.
func sandbox(t *testing.T, root, uid string, number int) {
	t.Helper()
	folder, _ := container(t, root, uid, number)
	command := exec.Command("sleep", "3600")
	opened := inCgroup(t, folder, command)
	defer opened.Close()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
}

// rates waits until the sampler is told of so many pods.
func rates(t *testing.T, pinned string, pods int) {
	t.Helper()
	opened, err := pins.Open(pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	eventually(t, "each pod has its rate", func() bool {
		var cgroup uint64
		var hz uint32
		found := 0
		for entries := opened.Maps[bpf.Rates].Iterate(); entries.Next(&cgroup, &hz); {
			found++
		}
		return found == pods
	})
}

// judge compares the profile of a workload with what it did.
func (w *workload) judge(t *testing.T, got *received, program string) {
	t.Helper()
	p := got.of(t, w.service)
	samples, cpu := total(p)
	if w.hz == 0 || w.annotations != nil {
		if samples != 0 {
			t.Errorf("%s: %d samples", w.service, samples)
		}
		return
	}
	name := named
	if w.language == "c" {
		name = byOffset(t, program)
	}
	functions := inFunctions(p, name)
	share := functions["heavy"].Seconds() / (functions["heavy"] + functions["light"]).Seconds()
	truth := w.heavy.Seconds() / (w.heavy + w.light).Seconds()
	under := functions["main"].Seconds() / cpu.Seconds()
	t.Logf("%s at %d Hz: %d samples, %.2f s of %.2f s used (%+.1f %%); heavy %.1f %% of %.1f %%; main in %.1f %%",
		w.service, w.hz, samples, cpu.Seconds(), w.used.Seconds(), 100*(cpu.Seconds()/w.used.Seconds()-1), 100*share, 100*truth, 100*under)
	if !within(cpu, w.used, w.hz) {
		t.Errorf("%s: %v of %v", w.service, cpu, w.used)
	}
	if chance := math.Sqrt(truth * (1 - truth) / float64(samples)); math.Abs(share-truth) > 5*chance {
		t.Errorf("%s: heavy has %.3f of it, not %.3f", w.service, share, truth)
	}
	if under < 0.95 {
		t.Errorf("%s: main is in %.3f of the stacks", w.service, under)
	}
	want := map[string]string{
		"__name__": "process_cpu", "service_name": w.service, "team": "shop", "namespace": "shop", "pod": w.service + "-0",
		"container": "main", "node": "n1", "service_version": "1.2.3", "service_git_ref": sha,
	}
	for label, value := range want {
		if found := got.labels[w.service][label]; found != value {
			t.Errorf("%s: %s is %q", w.service, label, found)
		}
	}
	for _, mapping := range p.Mapping {
		if mapping.File == program && mapping.BuildID == "" {
			t.Errorf("%s has no build id", program)
		}
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
	agent := start(t, binary, plan{}, "--pins="+pinned, "--services="+services, "--folder="+profiles, "--read=50ms", "--every=1s")
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
	agent.stop(t)
	if written, _ := filepath.Glob(filepath.Join(profiles, "*.pb.gz")); len(written) == 0 {
		t.Errorf("no profile was written:\n%s", agent.said)
	}
	refusesOtherMemory(t, opened, busy.Process.Pid)
}

func outcomesOf(t *testing.T, opened *pins.Pins) func() sampler.Outcomes {
	t.Helper()
	return func() sampler.Outcomes {
		var o sampler.Outcomes
		for index, into := range map[uint32]*uint64{bpf.Kept: &o.Kept, bpf.Stale: &o.Stale} {
			var each []uint64
			if err := opened.Maps[bpf.Outcomes].Lookup(index, &each); err != nil {
				t.Fatal(err)
			}
			for _, number := range each {
				*into += number
			}
		}
		return o
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
	for said, p := range map[string]plan{
		"cap_perfmon is not in the permitted set": {UID: agentID, GID: agentID},
		"the loader has not run":                  {UID: agentID, GID: agentID, Capabilities: []int{unix.CAP_PERFMON}},
	} {
		p.Command = append([]string{carrying(t, binary)}, arguments...)
		out, err := inContainer(t, p, 0).CombinedOutput()
		if err == nil || !strings.Contains(string(out), said) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
