// Package capability raises the one capability of the agent.
//
// Kubernetes gives a container of a user other than root its capabilities as bounds alone. The file capability of the
// binary (cap_perfmon=p) brings one into the permitted set, from where the program itself raises it: with =ep an exec
// without that bound would fail before a word could be said.
package capability

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Raise makes a permitted capability effective in all threads.
func Raise(number uint, name string) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	set, bit := &sets[number/32], uint32(1)<<(number%32)
	if set.Permitted&bit == 0 {
		return fmt.Errorf("%s is not in the permitted set. The container must add it (and drop all others), and the binary "+
			"must carry the file capability: setcap %s=p", name, name)
	}
	if set.Effective&bit != 0 {
		return nil
	}
	set.Effective |= bit
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0); errno != 0 {
		if errors.Is(errno, syscall.ENOTSUP) {
			return errors.New("this program was built with cgo, where a capability cannot be raised in all threads")
		}
		return fmt.Errorf("raise %s: %w", name, errno)
	}
	return nil
}
