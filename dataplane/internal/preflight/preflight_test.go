package preflight

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// node is one where nothing is missing.
func node(t *testing.T) Node {
	t.Helper()
	n := Node{Root: t.TempDir(), Release: "6.18.44-generic", Call: func(string) error { return unix.EINVAL }}
	for path, text := range map[string]string{
		"proc/self/status":                    "Name:\tagent\nSeccomp:\t2\nSeccomp_filters:\t1\n",
		"proc/self/attr/current":              "unconfined\n",
		"sys/kernel/security/lockdown":        "none [integrity] confidentiality\n",
		"proc/self/uid_map":                   "         0          0 4294967295\n",
		"proc/sys/kernel/perf_event_paranoid": "2\n",
		"sys/kernel/btf/vmlinux":              "",
	} {
		write(t, n, path, text)
	}
	return n
}

func write(t *testing.T, n Node, path, text string) {
	t.Helper()
	whole := filepath.Join(n.Root, path)
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsMissing(t *testing.T) {
	n := node(t)
	if err := n.Check(BPF, Perf); err != nil || len(n.Warnings()) != 0 {
		t.Error(err, n.Warnings())
	}
	for release, whole := range map[string]bool{
		"5.19.0": false, "6.1.0-43-amd64": false, "6.9.12": false, "6.10.0": true, "6.12.5+deb13-amd64": true, "7.0.1": true,
	} {
		if n.Release = release; n.Check(BPF, Perf) != nil || n.Whole() != whole {
			t.Errorf("%s: %v, whole %t", release, n.Check(BPF, Perf), n.Whole())
		}
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	for said, change := range map[string]func(n *Node){
		"before 5.8 there is no CAP_PERFMON: the agent needs 5.19 or newer, and 6.10": func(n *Node) { n.Release = "4.18.0-553.el8" },
		"is 5.18.19. From 5.8 to 5.18":        func(n *Node) { n.Release = "5.18.19" },
		"is 5.8.0. From 5.8 to 5.18":          func(n *Node) { n.Release = "5.8.0" },
		"profile does not let bpf(2) through": func(n *Node) { n.Call = refusing(BPF, unix.EPERM) },
		"not let perf_event_open(2) through":  func(n *Node) { n.Call = refusing(Perf, unix.ENOSYS) },
		"locked down for confidentiality": func(n *Node) {
			write(t, *n, "sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
		},
		"no version": func(n *Node) { n.Release = "linux" },
		"has no BTF": func(n *Node) { os.RemoveAll(filepath.Join(n.Root, "sys")) },
		"hostUsers":  func(n *Node) { write(t, *n, "proc/self/uid_map", "0 100000 65536\n") },
	} {
		n := node(t)
		change(&n)
		if err := n.Check(BPF, Perf); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", said, err)
		}
	}
	n := node(t)
	n.Call = refusing(BPF, unix.EPERM)
	write(t, n, "proc/self/status", "Seccomp:\t0\n")
	if err := n.Check(BPF, Perf); err != nil {
		t.Errorf("a filter that is not there: %v", err)
	}
	n = node(t)
	n.Call = refusing(Perf, unix.EPERM)
	if err := n.Check(BPF); err != nil {
		t.Errorf("a call that is not made: %v", err)
	}
	n = node(t)
	write(t, n, "proc/sys/kernel/perf_event_paranoid", "4\n")
	if warned := n.Warnings(); len(warned) != 1 || !strings.Contains(warned[0], "perf_event_paranoid is 4") {
		t.Errorf("%v", warned)
	}
}

func refusing(name string, by error) func(string) error {
	return func(called string) error {
		if called == name {
			return by
		}
		return unix.EFAULT
	}
}

// The calls that find out whether a filter is there do nothing but fail of their arguments.
func TestAsksTheKernelWhatIsLetThrough(t *testing.T) {
	here, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{BPF: unix.EFAULT, Perf: unix.EINVAL} {
		err := here.Call(name)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Logf("%s is not let through here: %v", name, err) // as in many containers
		} else if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whose refusal it may be is told by the label.
func TestExplainsARefusal(t *testing.T) {
	refused := fmt.Errorf("pin: %w", unix.EACCES)
	for said, change := range map[string]func(n Node){
		"SELinux holds this container to container_t; ": func(n Node) {
			write(t, n, "proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2\x00")
			write(t, n, "sys/fs/selinux/enforce", "1")
		},
		"to spc_t alone": func(n Node) { // what tells whether it is enforcing is often hidden
			write(t, n, "proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2\x00")
		},
		"the profile cri-containerd.apparmor.d: ": func(n Node) {
			write(t, n, "proc/self/attr/current", "cri-containerd.apparmor.d (enforce)\n")
		},
		"kernel.perf_event_paranoid is 3": func(n Node) { write(t, n, "proc/sys/kernel/perf_event_paranoid", "3\n") },
		"the profile own: ": func(n Node) { // beside another module
			write(t, n, "proc/self/attr/apparmor/current", "own (enforce)\n")
		},
	} {
		n := node(t)
		change(n)
		if err := n.Explain(refused); !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", said, err)
		}
		if err := n.Explain(unix.ENOENT); err != unix.ENOENT {
			t.Errorf("no refusal: %v", err)
		}
		verifier := fmt.Errorf("load: %w", &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"R1 invalid mem access"}})
		if err := n.Explain(verifier); err != verifier {
			t.Errorf("the verifier's: %v", err)
		}
	}
	hidden := fmt.Errorf("load: %w", &ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"unknown func bpf_probe_read_kernel_str#115"}})
	if err := node(t).Explain(hidden); !errors.Is(err, errLockedDown) || !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	for _, change := range []func(n Node){
		func(Node) {},
		func(n Node) { write(t, n, "proc/self/attr/current", "profile (complain)\n") },
		func(n Node) { write(t, n, "proc/self/attr/current", "system_u:system_r:spc_t:s0\x00") },
		func(n Node) {
			write(t, n, "proc/self/attr/current", "system_u:system_r:container_t:s0\x00")
			write(t, n, "sys/fs/selinux/enforce", "0")
		},
	} {
		n := node(t)
		change(n)
		if err := n.Explain(refused); err != refused {
			t.Error(err)
		}
	}
}
