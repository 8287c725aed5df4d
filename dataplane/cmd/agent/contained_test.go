package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// containedPlan names a file with a plan: the test's own program then does what a container runtime does before it
// starts a container's program, in that order, and becomes that program.
const containedPlan = "FLAMEPLANE_TEST_CONTAINED"

type plan struct {
	UID, GID     int
	Capabilities []int // bounding, permitted and effective; inheritable and ambient stay empty
	Syscalls     []int // let through; nil for all
	OwnRun       bool  // a /run of its own, with the token and the authority of an API server
	Token        string
	Authority    string
	Command      []string
	Environment  []string
}

const accountFolder = "/run/secrets/kubernetes.io/serviceaccount" // /var/run is a link to /run

func contained(file string) {
	err := becomes(file)
	fmt.Fprintln(os.Stderr, "contained:", err)
	os.Exit(70)
}

func becomes(file string) error {
	runtime.LockOSThread() // all of it is the thread's alone
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if err := p.mount(); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	wanted := map[int]bool{}
	var sets [2]unix.CapUserData
	for _, number := range p.Capabilities {
		wanted[number] = true
		sets[number/32].Permitted |= 1 << (number % 32)
		sets[number/32].Effective |= 1 << (number % 32)
	}
	for number := 0; unix.Prctl(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0) == nil; number++ { // all that the kernel knows
		if !wanted[number] {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(number), 0, 0, 0); err != nil {
				return fmt.Errorf("bound %d: %w", number, err)
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 0, 0, 0},
		{unix.SYS_SETRESGID, uintptr(p.GID), uintptr(p.GID), uintptr(p.GID)},
		{unix.SYS_SETRESUID, uintptr(p.UID), uintptr(p.UID), uintptr(p.UID)},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("call %d: %w", call[0], errno)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if p.Syscalls != nil {
		if err := filter(p.Syscalls); err != nil {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	return unix.Exec(p.Command[0], p.Command, p.Environment)
}

// mount gives it a /proc of its own pid namespace, and a /run.
func (p *plan) mount() error {
	if !p.OwnRun {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("run", "/run", "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(accountFolder, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"token": p.Token, "ca.crt": p.Authority} {
		if err := os.WriteFile(filepath.Join(accountFolder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// filter lets these system calls through and refuses all others by EPERM, as the profile's default is.
func filter(allowed []int) error {
	const number = 0 // its offset in struct seccomp_data
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	for _, call := range allowed {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(call)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	whole := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&whole)), 0, 0)
}

func written(t *testing.T, p plan) string {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
