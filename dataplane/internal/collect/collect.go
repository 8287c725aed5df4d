// Package collect turns what was counted in the kernel into one profile for each cgroup and kind.
package collect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/sampler"
	"flameplane.dev/dataplane/internal/symbols"
)

const (
	keptPaths    = 4096              // of cgroups
	keptMappings = 1 << 16           // of all processes, of some 100 bytes each; one has 20 to 400
	forgotten    = 128               // readings after which a process that was not seen again is forgotten
	askedAgain   = 8                 // readings between two questions for what may be no address at all
	innermost    = 5                 // frames among which the one that asks for a stack is
	unknown      = "/[cgroup ended]" // its last process ended before it was listed
)

// Counts is the kernel's side of it.
type Counts interface {
	Drain() ([]sampler.Count, error)
	Stack(key uint64) ([]uint64, bool)
}

// Node tells of the node's processes.
type Node interface {
	Tasks() ([]process.Task, error)
	Spaces([]process.ID) (map[process.ID]process.Space, error)
}

// Kind is one of the profiles that are made: by the samples of the clock, or of the time off the CPU.
type Kind struct {
	Name   string // as backends know it
	Counts Counts
	New    func() *cpuprofile.Builder
	// Stacks of programs as places in files, where the kernel tells no mappings.
	Places func(key uint64) ([]bpf.Place, bool)
	Below  string // a kernel's function: what it calls is no part of the stacks, however deep it is
}

// Group is what ran, or waited, in one cgroup.
type Group struct {
	Path    string
	Name    string // of the kind
	Profile *profile.Profile
	Samples uint64
}

// Collector gathers between two flushes.
type Collector struct {
	kinds   []Kind
	node    Node
	symbols *symbols.Symbols
	python  Functions
	metrics *Metrics

	readings uint64
	paths    map[uint64]string
	spaces   map[process.ID]*mapped
	builders map[target]*cpuprofile.Builder
	since    time.Time
}

type target struct {
	kind   int
	cgroup uint64
}

// counted is one count, and which of the kinds it is of.
type counted struct {
	sampler.Count
	kind int
}

type mapped struct {
	space process.Space
	asked uint64 // the reading it was asked for in
	seen  uint64
}

// New starts at “now“.
func New(
	kinds []Kind, node Node, known *symbols.Symbols, functions Functions, metrics *Metrics, now time.Time,
) *Collector {
	return &Collector{
		kinds: kinds, node: node, symbols: known, python: functions, metrics: metrics, since: now,
		paths: map[uint64]string{}, spaces: map[process.ID]*mapped{}, builders: map[target]*cpuprofile.Builder{},
	}
}

// Tasks lists the processes, and remembers the cgroups' paths: what ran in one is known after its end too.
func (c *Collector) Tasks() ([]process.Task, error) {
	tasks, err := c.node.Tasks()
	if err != nil {
		return nil, err
	}
	if len(c.paths) > keptPaths {
		c.paths = map[uint64]string{}
	}
	for _, task := range tasks {
		for _, cgroup := range task.Cgroups {
			c.paths[cgroup.ID] = cgroup.Path
		}
	}
	return tasks, nil
}

// Read takes what was counted since the last reading. It is called often: a process that ended has no mappings.
func (c *Collector) Read() error {
	c.readings++
	byProcess := map[process.ID][]counted{}
	for kind, each := range c.kinds {
		counts, err := each.Counts.Drain()
		if err != nil {
			return err
		}
		for _, count := range counts {
			id := process.ID{Tgid: count.Tgid, Start: count.Start, Program: count.Program}
			byProcess[id] = append(byProcess[id], counted{count, kind})
		}
	}
	var wanted []process.ID
	for id := range byProcess {
		if known, ok := c.spaces[id]; ok {
			known.seen = c.readings
		} else {
			wanted = append(wanted, id)
		}
	}
	if err := c.ask(wanted); err != nil {
		return err
	}
	// What lies nowhere may have been mapped since: these processes are asked once more.
	wanted = nil
	for id, counts := range byProcess {
		if known := c.spaces[id]; known.asked != c.readings && c.hasMoved(known, counts) {
			wanted = append(wanted, id)
		}
	}
	if err := c.ask(wanted); err != nil {
		return err
	}
	for id, counts := range byProcess {
		c.add(id, counts)
	}
	c.forget()
	return c.follow()
}

func (c *Collector) ask(wanted []process.ID) error {
	if len(wanted) == 0 {
		return nil
	}
	found, err := c.node.Spaces(wanted)
	if err != nil {
		return fmt.Errorf("mappings of processes: %w", err)
	}
	for _, id := range wanted {
		space, alive := found[id]
		if old, ok := c.spaces[id]; ok && !alive {
			space = old.space // it ended; what it had is still true of what it did
		}
		c.spaces[id] = &mapped{space, c.readings, c.readings}
	}
	return nil
}

// hasMoved is whether code ran that lies nowhere. Of callers that is often so where there are no frame pointers.
func (c *Collector) hasMoved(known *mapped, counts []counted) bool {
	recently := c.readings-known.asked < askedAgain
	for _, count := range counts {
		stack, _ := c.stack(count, count.User) // none where they are places
		for depth, address := range stack {
			if depth > 0 && recently {
				break
			}
			if _, ok := known.space.At(symbols.CallSite(address, depth)); !ok {
				return true
			}
		}
	}
	return false
}

func (c *Collector) add(id process.ID, counts []counted) {
	resolver := c.symbols.Of(id, c.spaces[id].space)
	for _, count := range counts {
		at := target{count.kind, count.Cgroup}
		builder, ok := c.builders[at]
		if !ok {
			builder = c.kinds[count.kind].New()
			c.builders[at] = builder
		}
		builder.Add(c.frames(resolver, count), count.Number, count.Time())
	}
}

func (c *Collector) stack(count counted, key uint64) ([]uint64, bool) {
	return c.kinds[count.kind].Counts.Stack(key)
}

// frames are the kernel's above the program's, innermost first. Time without a stack is time all the same.
func (c *Collector) frames(resolver *symbols.Process, count counted) []cpuprofile.Frame {
	var frames []cpuprofile.Frame
	if count.Kernel != 0 {
		addresses, ok := c.stack(count, count.Kernel)
		if !ok {
			frames = append(frames, symbols.Lost)
			c.metrics.StacksLost.Add(float64(count.Number))
		}
		frames = append(frames, below(c.kinds[count.kind].Below, c.symbols.KernelFrames(addresses))...)
	}
	if places := c.kinds[count.kind].Places; places != nil {
		frames = append(frames, c.places(places, count)...)
	} else if count.User != 0 {
		addresses, ok := c.stack(count, count.User)
		if !ok {
			frames = append(frames, symbols.Lost)
			c.metrics.StacksLost.Add(float64(count.Number))
		}
		user := c.called(resolver, count, resolver.Frames(addresses))
		c.metrics.frames(user)
		frames = append(frames, user...)
	}
	if len(frames) == 0 {
		frames = append(frames, symbols.NoStack)
	}
	return frames
}

// places are the program's frames, where they come as places.
func (c *Collector) places(of func(key uint64) ([]bpf.Place, bool), count counted) []cpuprofile.Frame {
	if count.User == 0 {
		return nil
	}
	places, ok := of(count.User)
	if !ok {
		c.metrics.StacksLost.Add(float64(count.Number))
		return []cpuprofile.Frame{symbols.Lost}
	}
	frames := symbols.PlaceFrames(places)
	c.metrics.frames(frames)
	return frames
}

// below cuts off a function and what it calls. Only its last calls can be meant.
func below(function string, stack []cpuprofile.Frame) []cpuprofile.Frame {
	for i, frame := range stack[:min(len(stack), innermost)] {
		if function != "" && frame.Function == function {
			return stack[i+1:]
		}
	}
	return stack
}

// forget forgets processes that were not seen for long, and the longest unseen of too many.
func (c *Collector) forget() {
	mappings := 0
	for id, known := range c.spaces {
		mappings += len(known.space)
		if c.readings-known.seen > forgotten {
			mappings -= len(known.space)
			delete(c.spaces, id)
		}
	}
	if mappings <= keptMappings {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(c.spaces), func(a, b process.ID) int { return cmp.Compare(c.spaces[a].seen, c.spaces[b].seen) })
	for _, id := range oldest {
		mappings -= len(c.spaces[id].space)
		delete(c.spaces, id)
		if mappings <= keptMappings/2 {
			return
		}
	}
}

// Flush ends the profiles and begins new ones.
func (c *Collector) Flush(now time.Time) ([]Group, error) {
	var groups []Group
	for at, builder := range c.builders {
		name := c.kinds[at.kind].Name
		built, err := builder.Build(c.since, now.Sub(c.since))
		if err != nil {
			return nil, fmt.Errorf("%s of cgroup %d: %w", name, at.cgroup, err)
		}
		path, ok := c.paths[at.cgroup]
		if !ok {
			path = unknown
			if at.cgroup == 1 {
				path = "/" // the root, in whose list of names there is none
			}
		}
		groups = append(groups, Group{path, name, built, builder.Number()})
	}
	c.builders, c.since = map[target]*cpuprofile.Builder{}, now
	return groups, nil
}
