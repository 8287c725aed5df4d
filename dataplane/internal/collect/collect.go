// Package collect turns the sampler's counts into one profile for each cgroup.
package collect

import (
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/sampler"
	"flameplane.dev/dataplane/internal/symbols"
)

const (
	keptSpaces = 4096              // processes whose mappings are remembered
	forgotten  = 128               // readings after which a process that was not seen again is forgotten
	askedAgain = 8                 // readings between two questions for what may be no address at all
	unknown    = "/[cgroup ended]" // its last process ended before it was listed
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

// Group is what ran in one cgroup.
type Group struct {
	Path    string
	Profile *profile.Profile
}

// Collector gathers between two flushes.
type Collector struct {
	counts  Counts
	node    Node
	symbols *symbols.Symbols
	baseHz  uint32
	metrics *Metrics

	readings uint64
	paths    map[uint64]string
	spaces   map[process.ID]*mapped
	builders map[uint64]*cpuprofile.Builder
	since    time.Time
}

type mapped struct {
	space process.Space
	asked uint64 // the reading it was asked for in
	seen  uint64
}

// New starts at “now“.
func New(counts Counts, node Node, known *symbols.Symbols, baseHz uint32, metrics *Metrics, now time.Time) *Collector {
	return &Collector{
		counts: counts, node: node, symbols: known, baseHz: baseHz, metrics: metrics, since: now,
		paths: map[uint64]string{}, spaces: map[process.ID]*mapped{}, builders: map[uint64]*cpuprofile.Builder{},
	}
}

// Tasks lists the processes, and remembers the cgroups' paths: what ran in one is known after its end too.
func (c *Collector) Tasks() ([]process.Task, error) {
	tasks, err := c.node.Tasks()
	if err != nil {
		return nil, err
	}
	if len(c.paths) > keptSpaces {
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
	counts, err := c.counts.Drain()
	if err != nil {
		return err
	}
	byProcess := map[process.ID][]sampler.Count{}
	for _, count := range counts {
		id := process.ID{Tgid: count.Tgid, Start: count.Start, Program: count.Program}
		byProcess[id] = append(byProcess[id], count)
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
	return nil
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
func (c *Collector) hasMoved(known *mapped, counts []sampler.Count) bool {
	recently := c.readings-known.asked < askedAgain
	for _, count := range counts {
		stack, _ := c.counts.Stack(count.User)
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

func (c *Collector) add(id process.ID, counts []sampler.Count) {
	resolver := c.symbols.Of(id, c.spaces[id].space)
	for _, count := range counts {
		builder, ok := c.builders[count.Cgroup]
		if !ok {
			builder = cpuprofile.New(c.baseHz)
			c.builders[count.Cgroup] = builder
		}
		builder.Add(c.frames(resolver, count), count.Number, count.CPU())
	}
}

// frames are the kernel's above the program's, innermost first. CPU time without a stack is CPU time all the same.
func (c *Collector) frames(resolver *symbols.Process, count sampler.Count) []cpuprofile.Frame {
	var frames []cpuprofile.Frame
	if count.Kernel != 0 {
		addresses, ok := c.counts.Stack(count.Kernel)
		if !ok {
			frames = append(frames, symbols.Lost)
			c.metrics.StacksLost.Add(float64(count.Number))
		}
		frames = append(frames, c.symbols.KernelFrames(addresses)...)
	}
	if count.User != 0 {
		addresses, ok := c.counts.Stack(count.User)
		if !ok {
			frames = append(frames, symbols.Lost)
			c.metrics.StacksLost.Add(float64(count.Number))
		}
		user := resolver.Frames(addresses)
		c.metrics.frames(user)
		frames = append(frames, user...)
	}
	if len(frames) == 0 {
		frames = append(frames, symbols.NoStack)
	}
	return frames
}

func (c *Collector) forget() {
	for id, known := range c.spaces {
		if c.readings-known.seen > forgotten || len(c.spaces) > keptSpaces {
			delete(c.spaces, id)
		}
	}
}

// Flush ends the profiles and begins new ones.
func (c *Collector) Flush(now time.Time) ([]Group, error) {
	var groups []Group
	for cgroup, builder := range c.builders {
		built, err := builder.Build(c.since, now.Sub(c.since))
		if err != nil {
			return nil, fmt.Errorf("profile of cgroup %d: %w", cgroup, err)
		}
		path, ok := c.paths[cgroup]
		if !ok {
			path = unknown
			if cgroup == 1 {
				path = "/" // the root, in whose list of names there is none
			}
		}
		groups = append(groups, Group{path, built})
	}
	c.builders, c.since = map[uint64]*cpuprofile.Builder{}, now
	return groups, nil
}
