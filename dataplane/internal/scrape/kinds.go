// Package scrape asks Go programs for their profiles by net/http/pprof.
package scrape

import (
	"slices"

	"flameplane.dev/dataplane/internal/identity"
)

// kind is one profile of net/http/pprof. `debug` is never asked for: 2 stops the program and prints every goroutine.
type kind struct {
	path string
	name string // by which the backend has it
	// Since the program began, and so sent as what came in between two scrapes. The others are as they are now.
	cumulative []string
	long       bool // it is measured while it is asked for
}

// kinds by the type that a service declares.
var kinds = map[string]kind{
	"alloc":     {path: "allocs", name: "memory", cumulative: []string{"alloc_objects", "alloc_space"}},
	"mutex":     {path: "mutex", name: "mutex", cumulative: []string{"contentions", "delay"}},
	"block":     {path: "block", name: "block", cumulative: []string{"contentions", "delay"}},
	"goroutine": {path: "goroutine", name: "goroutine"},
	"cpu":       {path: "profile", name: "process_cpu", long: true},
}

// wanted are the types of a source that are scraped: of CPU time only what the node agent does not tell.
func wanted(source identity.Source) []string {
	if source.Service.Language != "go" || source.Service.PprofPort == 0 {
		return nil
	}
	var found []string
	for _, each := range source.Service.Types {
		if _, ok := kinds[each]; ok && (each != "cpu" || source.WantsCPU()) {
			found = append(found, each)
		}
	}
	slices.Sort(found)
	return found
}
