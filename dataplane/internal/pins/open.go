package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
)

// Pins are the opened pins of a folder.
type Pins struct {
	folder   string
	Maps     map[string]*ebpf.Map
	Programs map[string]*ebpf.Program
}

// Open opens all that the loader pins. It takes no capability, only the group.
func Open(folder string) (*Pins, error) {
	opened := &Pins{folder: folder, Maps: map[string]*ebpf.Map{}, Programs: map[string]*ebpf.Program{}}
	shared, programs := shared, programs
	if opened.Older() {
		shared, programs = olderShared, olderPrograms
	}
	for _, name := range shared {
		found, err := ebpf.LoadPinnedMap(filepath.Join(folder, name), nil)
		if err != nil {
			opened.Close()
			return nil, explain(folder, name, err)
		}
		opened.Maps[name] = found
	}
	for _, name := range programs {
		found, err := ebpf.LoadPinnedProgram(filepath.Join(folder, name), nil)
		if err != nil {
			opened.Close()
			return nil, explain(folder, name, err)
		}
		opened.Programs[name] = found
	}
	return opened, nil
}

// Older is whether the loader pinned what kernels before 6.10 get: places in files, no mappings, no blocked time.
func (p *Pins) Older() bool {
	_, err := os.Lstat(filepath.Join(p.folder, bpf.Cgroups))
	return err == nil
}

// Iterator runs one from its start; what it prints is read from the file.
func (p *Pins) Iterator(name string) (*os.File, error) {
	file, err := os.Open(filepath.Join(p.folder, name))
	if err != nil {
		return nil, explain(p.folder, name, err)
	}
	return file, nil
}

// Close leaves the pins where they are: they outlive the agent.
func (p *Pins) Close() {
	for _, each := range p.Maps {
		each.Close()
	}
	for _, each := range p.Programs {
		each.Close()
	}
}

func explain(folder, name string, err error) error {
	path := filepath.Join(folder, name)
	_, seen := os.Stat(path)
	switch {
	case errors.Is(seen, fs.ErrNotExist):
		return fmt.Errorf("there is no pin %s: the loader has not run, or was of another version%s", path, unlessBPF(folder))
	case errors.Is(seen, fs.ErrPermission):
		return fmt.Errorf("the pins in %s are not open to group %d: %w", folder, os.Getegid(), err)
	case errors.Is(err, fs.ErrPermission) && seen == nil:
		return fmt.Errorf("pin %s: %w. Either its mode and group, or a seccomp profile without bpf(2), or SELinux", path, err)
	}
	return fmt.Errorf("pin %s: %w", path, err)
}

// unlessBPF adds that a folder can hold no pins.
func unlessBPF(folder string) string {
	var found unix.Statfs_t
	if err := unix.Statfs(folder, &found); err == nil && found.Type == unix.BPF_FS_MAGIC {
		return ""
	}
	return fmt.Sprintf(", or %s is not the folder of the node's bpffs that the loader had", folder)
}
