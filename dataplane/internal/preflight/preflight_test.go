package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// node is one where nothing is missing.
func node(t *testing.T) Node {
	t.Helper()
	n := Node{Root: t.TempDir(), Release: "6.18.44-generic"}
	for path, text := range map[string]string{
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
	if err := n.Check(); err != nil || len(n.Warnings()) != 0 {
		t.Error(err, n.Warnings())
	}
	for _, release := range []string{"6.10.0", "6.12.5+deb13-amd64", "7.0.1"} {
		if n.Release = release; n.Check() != nil {
			t.Errorf("%s: %v", release, n.Check())
		}
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	for said, change := range map[string]func(n *Node){
		"need 6.10 or newer": func(n *Node) { n.Release = "6.1.0-43-amd64" },
		"the kernel is 5.15": func(n *Node) { n.Release = "5.15.0" },
		"no version":         func(n *Node) { n.Release = "linux" },
		"has no BTF":         func(n *Node) { os.RemoveAll(filepath.Join(n.Root, "sys")) },
		"hostUsers":          func(n *Node) { write(t, *n, "proc/self/uid_map", "0 100000 65536\n") },
	} {
		n := node(t)
		change(&n)
		if err := n.Check(); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", said, err)
		}
	}
	n := node(t)
	write(t, n, "proc/sys/kernel/perf_event_paranoid", "4\n")
	if warned := n.Warnings(); len(warned) != 1 || !strings.Contains(warned[0], "perf_event_paranoid is 4") {
		t.Errorf("%v", warned)
	}
}
