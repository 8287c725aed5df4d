package process

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"slices"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/pins"
)

// ID names a program that runs for good: numbers of processes are given away again, but not with the same start, and a
// process that becomes another program (exec) has other mappings from then on.
type ID struct {
	Tgid    uint32
	Start   uint64
	Program uint64
}

// Task is a process of the node.
type Task struct {
	ID
	Parent  uint32
	Comm    string
	Cgroups []Cgroup // its own last, none for the root
}

// Cgroup is one of a process.
type Cgroup = identity.Cgroup

// CgroupsOf are those of each process.
func CgroupsOf(tasks []Task) iter.Seq[[]Cgroup] {
	return func(yield func([]Cgroup) bool) {
		for _, task := range tasks {
			if !yield(task.Cgroups) {
				return
			}
		}
	}
}

// Tasks lists all processes, whatever pid namespace the caller is in.
func Tasks(opened *pins.Pins) ([]Task, error) {
	iterator, err := opened.Iterator(bpf.ListTasks)
	if err != nil {
		return nil, err
	}
	data, err := readAll(iterator)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	return parseTasks(data)
}

func parseTasks(data []byte) ([]Task, error) {
	var found []Task
	for len(data) > 0 {
		var record bpf.Task
		var err error
		if data, err = next(data, &record); err != nil {
			return nil, err
		}
		task := Task{ID: ID{record.Tgid, record.Start, record.Program}, Parent: record.Parent, Comm: Text(record.Comm[:])}
		if task.Cgroups, data, err = parseCgroups(data); err != nil {
			return nil, fmt.Errorf("cgroups of process %d: %w", record.Tgid, err)
		}
		found = append(found, task)
	}
	return found, nil
}

// parseCgroups turns them round: the kernel prints the innermost first.
func parseCgroups(data []byte) (found []Cgroup, rest []byte, err error) {
	for {
		var id uint64
		if data, err = next(data, &id); err != nil {
			return nil, nil, err
		}
		if id == 0 {
			break
		}
		name, rest, ended := bytes.Cut(data, []byte{0})
		if !ended {
			return nil, nil, fmt.Errorf("a name is cut off: %w", io.ErrUnexpectedEOF)
		}
		found, data = append(found, Cgroup{ID: id, Path: string(name)}), rest
	}
	slices.Reverse(found)
	return rooted(found), data, nil
}

// rooted makes whole paths of names; the outermost is the first.
func rooted(found []Cgroup) []Cgroup {
	above := ""
	for i := range found {
		above += "/" + found[i].Path
		found[i].Path = above
	}
	return found
}

// Text is what stands before the first 0 of a fixed field.
func Text(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}
