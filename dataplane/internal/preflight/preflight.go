// Package preflight says in words what a node lacks, before the kernel says it in numbers.
package preflight

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Node is where the kernel tells of itself.
type Node struct {
	Root    string                  // of /proc and /sys
	Release string                  // of the kernel
	Call    func(name string) error // makes a system call that can do nothing, by name
}

// Here is this machine.
func Here() (Node, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Node{}, err
	}
	return Node{Root: "/", Release: unix.ByteSliceToString(name.Release[:]), Call: call}, nil
}

// Check is what makes loading or sampling impossible, by these system calls.
func (n Node) Check(calls ...string) error {
	return errors.Join(n.kernel(), n.types(), n.users(), n.calls(calls), n.lockdown())
}

// Warnings are what may make it so on some kernels.
func (n Node) Warnings() []string {
	if words := n.paranoid(); words != "" {
		return []string{words}
	}
	return nil
}

// paranoid is a level that the kernel itself does not know: distributions have added it.
func (n Node) paranoid() string {
	level, err := strconv.Atoi(n.read("proc/sys/kernel/perf_event_paranoid"))
	if err != nil || level <= 2 {
		return ""
	}
	return fmt.Sprintf("kernel.perf_event_paranoid is %d: above 2, kernels of Debian and Ubuntu refuse perf events to whoever lacks "+
		"CAP_SYS_ADMIN; set it to 2 on the node (sysctl kernel.perf_event_paranoid=2)", level)
}

func (n Node) types() error {
	if _, err := os.Stat(filepath.Join(n.Root, "sys/kernel/btf/vmlinux")); err != nil {
		return fmt.Errorf("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), by which the programs find its structs: %w", err)
	}
	return nil
}

// users is whether this is the first user namespace: in another, capabilities count for nothing here.
func (n Node) users() error {
	fields := strings.Fields(n.read("proc/self/uid_map"))
	if len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295" {
		return nil
	}
	return fmt.Errorf("this runs in a user namespace (%s), where the kernel refuses perf events and BPF programs: "+
		"the pod needs hostUsers: true", strings.Join(fields, " "))
}

func (n Node) read(path string) string {
	text, _ := os.ReadFile(filepath.Join(n.Root, path))
	return strings.TrimSpace(string(text))
}
