// Package identity says whose a process is: its cgroup names the pod, the pod's labels the service that is declared.
package identity

import (
	"regexp"
	"strings"
)

// By the kubelet's two cgroup drivers, systemd and cgroupfs. The uid of a static pod is a hash without dashes.
var (
	podElement = regexp.MustCompile(`^(?:kubepods-(?:burstable-|besteffort-)?)?pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?:\.slice)?$`)
	container  = regexp.MustCompile(`^(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?$`)
)

// Cgroup is one with all that lie above it in the path: /kubepods.slice/…
type Cgroup struct {
	ID   uint64
	Path string
}

// Place is where a cgroup lies.
type Place struct {
	Pod       string // uid
	Container string // id, empty above the containers
}

// PlaceOf reads a path of a cgroup; false outside pods. The first pod of the path counts: what lies below is its own.
func PlaceOf(path string) (Place, bool) {
	elements := strings.Split(path, "/")
	for i, element := range elements {
		found := podElement.FindStringSubmatch(element)
		if found == nil {
			continue
		}
		place := Place{Pod: strings.ReplaceAll(found[1], "_", "-")}
		if i+1 < len(elements) {
			if inner := container.FindStringSubmatch(elements[i+1]); inner != nil {
				place.Container = inner[1]
			}
		}
		return place, true
	}
	return Place{}, false
}
