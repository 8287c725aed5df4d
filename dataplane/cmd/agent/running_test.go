package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/internal/bpfmap"
)

const (
	agentID  = 47113
	perfmon  = "0000004000000000"
	burnSecs = "10" // of CPU time
	sha      = "0123456789abcdef0123456789abcdef01234567"
)

// running is an agent as the DaemonSet runs it.
type running struct {
	command *exec.Cmd
	metrics string
	said    *bytes.Buffer
}

// asLoader is the loader with exactly BPF and PERFMON, as root of the agent's group.
func asLoader(binary, pinned string, flags ...string) plan {
	return plan{
		GID: agentID, Capabilities: []int{unix.CAP_BPF, unix.CAP_PERFMON},
		Command: append([]string{binary, "loader", "--pins=" + pinned, fmt.Sprintf("--gid=%d", agentID)}, flags...),
	}
}

// loaded runs it.
func loaded(t *testing.T, binary, pinned string) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "agent.json")
	said, err := inContainer(t, asLoader(binary, pinned, "--seccomp-profile="+profile), 0).CombinedOutput()
	if err != nil {
		t.Fatalf("loader: %v\n%s", err, said)
	}
	if _, err := os.Stat(profile); err != nil {
		t.Fatal(err)
	}
}

// counted is a counter of the programs, of all CPUs.
func counted(t *testing.T, from *ebpf.Map, index uint32) uint64 {
	t.Helper()
	number, err := bpfmap.Sum(from, index)
	if err != nil {
		t.Fatal(err)
	}
	return number
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
	open(t, folder)
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
	t.Cleanup(func() {
		_ = r.command.Process.Kill()
		_ = r.command.Wait()
		if t.Failed() {
			t.Logf("the agent said:\n%s", r.said)
		}
	})
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
