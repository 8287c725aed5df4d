package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flameplane.dev/dataplane/internal/seccomp"
)

// The surroundings of an agent: a bpffs, cgroups as the kubelet makes them, an API server and a gateway.

const givenAgent = "FLAMEPLANE_AGENT" // the binary, built with its BPF objects

// needs says in words what a machine lacks.
func needs(t *testing.T) (binary string) {
	t.Helper()
	binary = os.Getenv(givenAgent)
	if binary == "" {
		t.Skipf("NOT RUN: %s is not set; tests/cluster/test_node_agent.py builds the agent and sets it", givenAgent)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root mounts a bpffs and starts a program with other capabilities")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skipf("NOT RUN: this kernel has no BTF: %v", err)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	return binary
}

// bpffs is a folder that stands for /sys/fs/bpf/flameplane as the kubelet makes it: root's, and nobody else's.
func bpffs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := syscall.Mount("bpf", root, "bpf", 0, ""); err != nil {
		t.Skipf("NOT RUN: no bpffs can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(root, 0); err != nil {
			t.Errorf("the bpffs stays mounted: %v", err)
		}
	})
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	pins := filepath.Join(root, "flameplane")
	if err := os.Mkdir(pins, 0o755); err != nil {
		t.Fatal(err)
	}
	return pins
}

// cgroups is a folder of the cgroup2 tree in which pods can be made.
func cgroups(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if !strings.Contains(line, " - cgroup2 ") {
			continue
		}
		folder := filepath.Join(strings.Fields(line)[4], fmt.Sprintf("flameplane-test-%d", os.Getpid()))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Skipf("NOT RUN: no cgroup can be made: %v", err)
		}
		t.Cleanup(func() { removeAll(folder) })
		return folder
	}
	t.Skip("NOT RUN: no cgroup2 tree is mounted")
	return ""
}

// removeAll removes the folders of cgroups, whose files cannot be removed.
func removeAll(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.IsDir() {
			removeAll(filepath.Join(folder, entry.Name()))
		}
	}
	_ = os.Remove(folder)
}

// container makes the cgroup of a pod's container, and is its folder and the container's id.
func container(t *testing.T, root, uid string, number int) (folder, id string) {
	t.Helper()
	id = fmt.Sprintf("%064x", number)
	folder = filepath.Join(root, "kubepods", "pod"+uid, id)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder, id
}

// accounted is the CPU time that the kernel accounts to a cgroup until now: of all that ever ran in it. Every cgroup of that
// tree has it, whether its cpu controller is on or not: where cpuacct is mounted apart, both are raised by the same call.
func accounted(t *testing.T, folder string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "cpu.stat"))
	if err != nil {
		t.Error(err)
		return 0
	}
	var microseconds int64
	if _, err := fmt.Sscanf(string(text), "usage_usec %d\n", &microseconds); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return time.Duration(microseconds) * time.Microsecond
}

// inCgroup starts a command there from its first instruction.
func inCgroup(t *testing.T, folder string, command *exec.Cmd) *os.File {
	t.Helper()
	opened, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(opened.Fd())}
	return opened
}

// apiServer has these pods, and watches that say nothing.
func apiServer(t *testing.T, pods []core.Pod) (address, authority string) {
	t.Helper()
	list := core.PodList{
		TypeMeta: meta.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: meta.ListMeta{ResourceVersion: "1"}, Items: pods,
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.URL.Path != "/api/v1/pods" || query.Get("fieldSelector") != "spec.nodeName=n1" ||
			r.Header.Get("Authorization") != "Bearer api-token" {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if query.Get("watch") != "" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	return server.Listener.Addr().String(), out.String()
}

// received is a gateway: what came, merged by service; of CPU time by its name alone, of others by both names.
type received struct {
	pushv1connect.UnimplementedPusherServiceHandler

	mutex    sync.Mutex
	requests int
	labels   map[string]map[string]string
	profiles map[string][]*profile.Profile
}

func (g *received) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.requests++
	if r.Header().Get("Authorization") != "Bearer gateway-token" {
		return nil, connect.NewError(connect.CodeUnauthenticated, nil)
	}
	for _, series := range r.Msg.Series {
		labels := map[string]string{}
		for _, label := range series.Labels {
			labels[label.Name] = label.Value
		}
		read, err := profile.ParseData(series.Samples[0].RawProfile)
		if err == nil {
			err = read.CheckValid()
		}
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
		service := labels["service_name"]
		if name := labels["__name__"]; name != onCPU {
			service += " " + name
		}
		g.labels[service] = labels
		g.profiles[service] = append(g.profiles[service], read)
	}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func gateway(t *testing.T) (*received, string) {
	t.Helper()
	g := &received{labels: map[string]map[string]string{}, profiles: map[string][]*profile.Profile{}}
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(g))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return g, server.URL
}

// of is all CPU time that came of a service; with a name behind it, what came under that.
func (g *received) of(t *testing.T, service string) *profile.Profile {
	t.Helper()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if len(g.profiles[service]) == 0 {
		return &profile.Profile{}
	}
	merged, err := profile.Merge(g.profiles[service])
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// numbers are those of the profile's system calls here; nil where the headers that know them are not installed.
func numbers(t *testing.T) []int {
	t.Helper()
	text, err := os.ReadFile("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
	if err != nil {
		t.Logf("the agent runs without a seccomp filter: %v", err)
		return nil
	}
	known := map[string]int{}
	for _, found := range regexp.MustCompile(`#define __NR_(\w+) (\d+)`).FindAllStringSubmatch(string(text), -1) {
		known[found[1]], _ = strconv.Atoi(found[2])
	}
	var found []int
	for _, name := range seccomp.Names() {
		if number, ok := known[name]; ok {
			found = append(found, number)
		}
	}
	return found
}

// freePort is an address that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	return server.Listener.Addr().String()
}

// eventually asks until it is so. What it waits for has no other way to be seen.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
