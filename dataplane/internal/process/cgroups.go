package process

import (
	"fmt"
	"slices"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/bpfmap"
	"flameplane.dev/dataplane/internal/pins"
)

const (
	cgroupRoot = 1  // it has no name, and is in no list
	deepest    = 64 // of what can be a cgroup's place; a circle has no end
)

// Met are the cgroups that something ran in, as the sampler for older kernels notes them: there, processes cannot be
// listed.
type Met struct {
	opened *pins.Pins
	named  map[uint64]bpf.Named
}

// NewMet begins with what the pins hold.
func NewMet(opened *pins.Pins) *Met { return &Met{opened: opened} }

// Tasks has one for each cgroup, of which nothing is known but the cgroups.
func (m *Met) Tasks() ([]Task, error) {
	m.named = map[uint64]bpf.Named{}
	err := bpfmap.Each(m.opened.Maps[bpf.Cgroups], func(id uint64, named bpf.Named) { m.named[id] = named })
	if err != nil {
		return nil, fmt.Errorf("read the cgroups: %w", err)
	}
	var found []Task
	for id := range m.named {
		if cgroups, ok := placeOf(id, m.named); ok {
			found = append(found, Task{Cgroups: cgroups})
		}
	}
	return found, nil
}

// Spaces are not known.
func (m *Met) Spaces([]ID) (map[ID]Space, error) { return nil, nil }

// Decided says that what was listed last has its rate, if it is to have one. Before that nothing is sampled that has
// none of its own: it may be in a pod that is excluded.
func (m *Met) Decided() error {
	for id, named := range m.named {
		if named.Known == 1 {
			continue
		}
		if _, ok := placeOf(id, m.named); !ok {
			continue
		}
		named.Known = 1
		if err := m.opened.Maps[bpf.Cgroups].Put(id, named); err != nil {
			return fmt.Errorf("tell that a cgroup is known: %w", err)
		}
	}
	return nil
}

// placeOf is a cgroup with those above it, itself last; false where one of them is missing.
func placeOf(id uint64, named map[uint64]bpf.Named) ([]Cgroup, bool) {
	var found []Cgroup
	for id != cgroupRoot {
		this, ok := named[id]
		if !ok || len(found) == deepest {
			return nil, false
		}
		found = append(found, Cgroup{ID: id, Path: Text(this.Name[:])})
		id = this.Parent
	}
	slices.Reverse(found)
	return rooted(found), true
}
