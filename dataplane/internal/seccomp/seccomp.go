// Package seccomp is the profile that the agent runs under, as the kubelet reads it.
//
// It is an allow list of its own and narrower than what container runtimes let through by default: what a static Go
// program calls, what a runtime calls between loading the profile and starting it, and the two system calls by which
// the agent samples. The runtimes' defaults let bpf(2) through for CAP_BPF alone, which the agent does not have.
package seccomp

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sampling is what no runtime's default lets through without more capabilities than the agent's.
const Sampling = "bpf perf_event_open"

// By what they are for. Names that an architecture does not have are passed over by the runtimes.
var allowed = []string{
	Sampling,
	// memory, threads, time
	"brk mmap munmap mprotect madvise mincore mremap set_robust_list get_robust_list rseq futex futex_wait futex_waitv futex_wake",
	"clone clone3 exit exit_group gettid getpid getppid set_tid_address arch_prctl membarrier",
	"sched_getaffinity sched_yield nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getrandom",
	"timer_create timer_settime timer_delete timer_gettime setitimer restart_syscall",
	"rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait sigaltstack kill tkill tgkill wait4 waitid pause",
	// files
	"open openat openat2 read readv pread64 preadv write writev pwrite64 close close_range lseek fcntl dup dup2 dup3 ioctl",
	"stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64 getcwd chdir fchdir",
	"rename renameat renameat2 unlink unlinkat mkdir mkdirat fsync fdatasync ftruncate umask pipe pipe2 flock",
	// network
	"socket socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt",
	"sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg splice sendfile copy_file_range",
	"poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2",
	// who it is
	"getuid geteuid getgid getegid getgroups getresuid getresgid capget capset prctl prlimit64 getrlimit getrusage uname sysinfo",
	// the runtime's last steps, once the profile holds
	"execve execveat setuid setgid setgroups setresuid setresgid setsid seccomp",
}

// Names are the system calls that are let through.
func Names() []string { return strings.Fields(strings.Join(allowed, " ")) }

type profile struct {
	DefaultAction   string   `json:"defaultAction"`
	DefaultErrnoRet int      `json:"defaultErrnoRet"`
	Architectures   []string `json:"architectures"`
	Syscalls        []rule   `json:"syscalls"`
}

type rule struct {
	Names  []string `json:"names"`
	Action string   `json:"action"`
}

// Write puts the profile at a path, whole or not at all: the kubelet may be reading it.
func Write(path string) error {
	text, err := json.MarshalIndent(profile{
		DefaultAction: "SCMP_ACT_ERRNO", DefaultErrnoRet: 1, // EPERM
		Architectures: []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"},
		Syscalls:      []rule{{Names(), "SCMP_ACT_ALLOW"}},
	}, "", " ")
	if err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(path), ".agent-*")
	if err != nil {
		return fmt.Errorf("write the seccomp profile: %w", err)
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(append(text, '\n'))
	for _, step := range []func() error{
		func() error { return err },
		func() error { return partial.Chmod(0o644) },
		partial.Close,
		func() error { return os.Rename(partial.Name(), path) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("write the seccomp profile: %w", err)
		}
	}
	return nil
}
