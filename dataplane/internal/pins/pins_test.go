package pins

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flameplane.dev/dataplane/bpf"
)

func TestSaysWhatIsWrongWithAPin(t *testing.T) {
	folder := t.TempDir()
	if _, err := Open(folder); err == nil || !strings.Contains(err.Error(), "the loader has not run") ||
		!strings.Contains(err.Error(), "is not the folder of the node's bpffs") {
		t.Error(err)
	}
	if _, err := (&Pins{folder: folder}).Iterator(bpf.ListTasks); err == nil || !strings.Contains(err.Error(), "the loader has not run") {
		t.Error(err)
	}
	for _, name := range shared {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(folder); err == nil || !strings.Contains(err.Error(), "pin "+filepath.Join(folder, bpf.Control)) {
		t.Errorf("a file that is no pin: %v", err)
	}
}

func TestAFolderIsEmptiedAndGivenAway(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pins")
	if err := os.MkdirAll(filepath.Join(folder, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := empty(folder, os.Getegid()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("%v", left)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != folderMode {
		t.Errorf("%v %v", info, err)
	}
}
