// Package bpf holds the agent's BPF programs, and the records that they exchange with it.
//
// The objects are compiled at build time and never committed: a build lays them over this folder (local/bpf.py).
package bpf

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/cilium/ebpf"
)

//go:embed *.bpf.*
var files embed.FS

// The objects, and what of them is pinned under its own name.
const (
	Sampler  = "sampler"
	Tasks    = "tasks"
	Mappings = "mappings"
	Memory   = "memory"
	Symbols  = "symbols"
	Blocks   = "offcpu"
	Places   = "places" // the sampler for kernels before 6.10

	OnCPU        = "on_cpu" // programs
	ReadMemory   = "read_memory"
	OffCPU       = "off_cpu"    // attached by the loader, by a pinned link
	ListTasks    = "list_tasks" // programs, pinned as iterators
	ListMappings = "list_mappings"
	ListSymbols  = "list_symbols"

	Control  = "control" // maps
	Rates    = "rates"
	Counts   = "counts"
	Stacks   = "stacks"
	Outcomes = "outcomes"

	Interpreters   = "interpreters"
	Codes          = "codes"
	PythonOutcomes = "python_outcomes"

	Cgroups = "cgroups"
	Placed  = "place_stacks"

	Wanted  = "wanted"
	Answers = "answers"
	Slots   = "slots"

	OffControl  = "off_control"
	OffAsked    = "off_asked"
	OffCounts   = "off_counts"
	OffStacks   = "off_stacks"
	OffOutcomes = "off_outcomes"
)

// Objects are the names of all that a kernel has from 6.10 on, and Older of what there is for those before.
var (
	Objects = []string{Sampler, Tasks, Mappings, Memory, Symbols, Blocks}
	Older   = []string{Places, Symbols}
)

// Spec reads an object.
func Spec(name string) (*ebpf.CollectionSpec, error) {
	object, err := files.ReadFile(name + ".bpf.o")
	if err != nil {
		return nil, fmt.Errorf("this program was built without its BPF object %s: build it with local/bpf.py's overlay", name)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("BPF object %s: %w", name, err)
	}
	return spec, nil
}
