package seccomp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWritesWhatTheKubeletReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.json")
	for range 2 { // the second time it is replaced
		if err := Write(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read profile
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read.DefaultAction != "SCMP_ACT_ERRNO" || len(read.Syscalls) != 1 || read.Syscalls[0].Action != "SCMP_ACT_ALLOW" {
		t.Errorf("%+v", read)
	}
	for _, name := range []string{"bpf", "perf_event_open", "futex", "execve"} {
		if !slices.Contains(read.Syscalls[0].Names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%v", left)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("%v", info.Mode())
	}
}

func TestNothingThatReachesOtherProcesses(t *testing.T) {
	names := Names()
	for _, name := range []string{
		"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "mount", "setns", "unshare", "kexec_load",
		"init_module", "finit_module", "keyctl", "userfaultfd", "io_uring_setup", "open_by_handle_at", "kcmp",
	} {
		if slices.Contains(names, name) {
			t.Errorf("%s is let through", name)
		}
	}
	sorted := slices.Sorted(slices.Values(names))
	if compact := slices.Compact(slices.Clone(sorted)); len(compact) != len(names) {
		t.Error("a name stands there twice")
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "no", "agent.json")); err == nil {
		t.Fatal("written")
	}
}
