// Package pins is what passes from the loader to the agent: programs, maps and iterators, pinned on bpffs for one group.
package pins

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"flameplane.dev/dataplane/bpf"
)

const (
	folderMode = 0o750 // the agent opens pins, and neither adds nor removes any
	pinMode    = 0o660
	linkSuffix = "_link"
)

// iterators print when they are read: a program, and the map over whose elements it runs.
var iterators = map[string]struct{ program, over string }{
	bpf.Tasks:    {bpf.ListTasks, bpf.Slots},
	bpf.Mappings: {bpf.ListMappings, bpf.Wanted},
	bpf.Symbols:  {bpf.ListSymbols, ""},
}

// tracepoints are attached here, by links that are pinned: the agent could not attach them.
var tracepoints = map[string]string{bpf.Blocks: bpf.OffCPU}

// shared are the maps that the agent opens, and programs those that it attaches, runs, or asks for their cost.
var (
	shared = []string{
		bpf.Control, bpf.Rates, bpf.Counts, bpf.Stacks, bpf.Outcomes, bpf.Wanted, bpf.Answers,
		bpf.Interpreters, bpf.Codes, bpf.PythonOutcomes,
		bpf.OffControl, bpf.OffAsked, bpf.OffCounts, bpf.OffStacks, bpf.OffOutcomes,
	}
	programs = []string{bpf.OnCPU, bpf.ReadMemory, bpf.OffCPU}
)

// Likewise on kernels before 6.10.
var (
	olderShared   = []string{bpf.Control, bpf.Rates, bpf.Counts, bpf.Stacks, bpf.Outcomes, bpf.Cgroups, bpf.Placed}
	olderPrograms = []string{bpf.OnCPU}
)

// optional are the objects that can be missing: names of the kernel's functions come with 6.0.
var optional = map[string]bool{bpf.Symbols: true}

type pinned interface{ Pin(path string) error }

// Load loads all programs, then replaces the pins in a folder of a bpffs by them, readable and writable to the group.
//
// A program that this kernel refuses leaves the pins as they were. The links that old pins held end with them.
// “older“ is what kernels before 6.10 get.
func Load(folder string, gid int, older bool) error {
	found := map[string]pinned{}
	names, spared := bpf.Objects, map[string]bool{}
	if older {
		names, spared = bpf.Older, optional
	}
	for _, name := range names {
		collection, err := load(name, found)
		if err != nil && spared[name] {
			slog.Warn("the kernel is too old for it", "object", name, "err", err)
			continue
		}
		if err != nil {
			return err
		}
		defer collection.Close()
	}
	if err := empty(folder, gid); err != nil {
		return err
	}
	for name, object := range found {
		path := filepath.Join(folder, name)
		if err := object.Pin(path); err != nil {
			return fmt.Errorf("pin %s (is %s a bpffs?): %w", name, folder, err)
		}
		if err := give(path, gid, pinMode); err != nil {
			return err
		}
	}
	return nil
}

func load(name string, found map[string]pinned) (*ebpf.Collection, error) {
	spec, err := bpf.Spec(name)
	if err != nil {
		return nil, err
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	if err := gather(name, collection, found); err != nil {
		collection.Close()
		return nil, err
	}
	return collection, nil
}

// gather adds what is pinned of a collection, by the name of its pin.
func gather(name string, collection *ebpf.Collection, found map[string]pinned) error {
	for _, each := range slices.Concat(shared, olderShared) {
		if object, ok := collection.Maps[each]; ok {
			found[each] = object
		}
	}
	for _, each := range programs {
		if object, ok := collection.Programs[each]; ok {
			found[each] = object
		}
	}
	if iterator, ok := iterators[name]; ok {
		attached, err := link.AttachIter(link.IterOptions{
			Program: collection.Programs[iterator.program], Map: collection.Maps[iterator.over],
		})
		if err != nil {
			return fmt.Errorf("attach %s: %w", iterator.program, err)
		}
		found[iterator.program] = attached
	}
	if program, ok := tracepoints[name]; ok {
		attached, err := link.AttachTracing(link.TracingOptions{Program: collection.Programs[program]})
		if err != nil {
			return fmt.Errorf("attach %s: %w", program, err)
		}
		found[program+linkSuffix] = attached
	}
	return nil
}

func empty(folder string, gid int) error {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return err
	}
	old, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range old {
		if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return give(folder, gid, folderMode)
}

// give needs no capability where the owner is of that group.
func give(path string, gid int, mode os.FileMode) error {
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("give %s to group %d (run the loader as that group): %w", path, gid, err)
	}
	return os.Chmod(path, mode)
}
