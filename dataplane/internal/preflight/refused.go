package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// What refuses, where capabilities would allow: seccomp, lockdown, SELinux, AppArmor.

const objGet = 7 // command of bpf(2)

var errLockedDown = errors.New("the kernel is locked down for confidentiality (/sys/kernel/security/lockdown), where no BPF program " +
	"may read its memory: the node has to boot with lockdown=integrity or without")

// call makes one that fails of its arguments, if anything lets it through at all.
func call(name string) error {
	var errno syscall.Errno
	switch name {
	case BPF: // the pin with no path: EFAULT
		var none [128]byte
		_, _, errno = unix.Syscall(unix.SYS_BPF, objGet, uintptr(unsafe.Pointer(&none)), uintptr(len(none)))
	case Perf: // flags that there are not: EINVAL, before anybody is asked
		_, _, errno = unix.Syscall6(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, ^uintptr(0), 0)
	}
	return errno
}

// The system calls that no default lets everybody make.
const (
	BPF  = "bpf"
	Perf = "perf_event_open"
)

// calls is whether a seccomp filter lets them through. Filters refuse by EPERM, or as if there were none.
func (n Node) calls(names []string) error {
	if n.status("Seccomp") != "2" {
		return nil
	}
	var all []error
	for _, name := range names {
		if err := n.Call(name); errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			all = append(all, fmt.Errorf("the container's seccomp profile does not let %s(2) through (%w): the agent runs under the one "+
				"that the loader writes (seccompProfile: type Localhost, flameplane/agent.json), the loader under RuntimeDefault, "+
				"which lets it through for CAP_BPF and CAP_PERFMON", name, err))
		}
	}
	return errors.Join(all...)
}

// lockdown is only known where the securityfs can be seen.
func (n Node) lockdown() error {
	if strings.Contains(n.read("sys/kernel/security/lockdown"), "[confidentiality]") {
		return errLockedDown
	}
	return nil
}

// Explain adds to a refusal which setting or security module it may come from. What the verifier refuses is not theirs; but
// under lockdown it does not know what reads the kernel's memory.
func (n Node) Explain(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		if strings.Contains(err.Error(), "bpf_probe_read_kernel") {
			return fmt.Errorf("%w. If it is this: %w", err, errLockedDown)
		}
		return err
	}
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	for _, words := range []string{n.paranoid(), n.selinux(), n.apparmor()} {
		if words != "" {
			err = fmt.Errorf("%w. %s", err, words)
		}
	}
	return err
}

// selinux is enforcing, and holds this process to a type. Labels are user:role:type:level.
func (n Node) selinux() string {
	label := strings.Split(n.label(), ":")
	if n.read("sys/fs/selinux/enforce") == "0" || len(label) < 3 || label[2] == "spc_t" || label[2] == "unconfined_t" {
		return ""
	}
	return fmt.Sprintf("SELinux holds this container to %s; container-selinux gives bpf { map_create map_read map_write prog_load "+
		"prog_run } to spc_t alone, and tells of no perf_event: install a policy module that allows both (perf_event { open cpu kernel }) "+
		"on self (ausearch -m avc names what was refused), or set seLinuxOptions: {type: spc_t} for loader and agent",
		label[2])
}

// apparmor confines this process. Labels are "profile (mode)".
func (n Node) apparmor() string {
	profile, confined := strings.CutSuffix(n.label(), " (enforce)")
	if !confined {
		return ""
	}
	return fmt.Sprintf("AppArmor holds this container to the profile %s: the runtimes' own deny writing below /sys outside "+
		"/sys/fs/cgroup, so the pins have to be mounted elsewhere (/run/flameplane/bpf), and one of the node's may deny the capabilities "+
		"bpf and perfmon (the kernel's log has apparmor=\"DENIED\")", profile)
}

// label is what security modules call this process; that of AppArmor by itself where several of them have one.
func (n Node) label() string {
	own := n.read("proc/self/attr/apparmor/current")
	if own == "" || own == "unconfined" {
		own = n.read("proc/self/attr/current")
	}
	return strings.TrimRight(own, "\x00\n")
}

func (n Node) status(key string) string {
	for line := range strings.Lines(n.read("proc/self/status")) {
		if found, value, _ := strings.Cut(line, ":"); found == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
