package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inGuest says that this program is the first process of a machine that was booted for it (tests/cluster/guest.py): it
// sets up what an operating system would, runs the tests that it is told to, and switches the machine off.
const inGuest = "FLAMEPLANE_TEST_GUEST"

func isGuest() bool { return os.Getenv(inGuest) != "" && os.Getpid() == 1 }

func guest(m *testing.M) {
	code := 70
	if err := boot(); err != nil {
		fmt.Println("guest:", err)
	} else {
		code = m.Run()
	}
	fmt.Println("guest: the tests ended with code", code)
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

func boot() error {
	for _, each := range []struct{ kind, folder string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"cgroup2", "/sys/fs/cgroup"},
	} {
		if err := syscall.Mount(each.kind, each.folder, each.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", each.folder, err)
		}
	}
	// Not all kernels have it.
	_ = syscall.Mount("securityfs", "/sys/kernel/security", "securityfs", 0, "")
	return network()
}

// network is the machine's own.
func network() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("start the network: %w", err)
	}
	return nil
}
