package identity

import "net/netip"

// Refusal is why nothing is taken of a pod, in the words of a metric's label.
type Refusal string

// What is refused. An address that two pods have is nobody's: one of them is on its way out, and it cannot be told which.
const (
	Taken          Refusal = ""
	NotListed      Refusal = "pods-not-listed"
	UnknownAddress Refusal = "unknown-address"
	Ambiguous      Refusal = "ambiguous-address"
	HostNetwork    Refusal = "host-network"
	Excluded       Refusal = "excluded"
	Undeclared     Refusal = "undeclared"
	Off            Refusal = "off"
)

// Source is a pod of a declared service that profiles are taken from.
type Source struct {
	Whose
	UID        string
	Service    Service
	Address    netip.Addr
	Containers map[string]string // name by id: a container that started anew has another
}

// WantsCPU is whether the service's CPU time is told by the process itself. By two it would count twice.
func (s Source) WantsCPU() bool { return s.Service.cpuFromInside() }

// Listed is whether the pods of the node are known.
func (n *Node) Listed() bool {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	return n.listed
}

// At is whose pod has an address. Pods on the host's network share one, so it says nothing about them.
func (n *Node) At(address netip.Addr) (Source, Refusal) {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	if !n.listed {
		return Source{}, NotListed
	}
	var found []string
	for uid, pod := range n.pods {
		if has(pod, address.Unmap()) {
			if pod.HostNetwork {
				return Source{}, HostNetwork
			}
			found = append(found, uid)
		}
	}
	switch len(found) {
	case 0:
		return Source{}, UnknownAddress
	case 1:
		return n.source(found[0])
	}
	return Source{}, Ambiguous
}

// Sources are all pods that something is taken of.
func (n *Node) Sources() []Source {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	var all []Source
	for uid, pod := range n.pods {
		if pod.HostNetwork || pod.Ended || len(pod.Addresses) == 0 {
			continue
		}
		if source, refused := n.source(uid); refused == Taken {
			all = append(all, source)
		}
	}
	return all
}

func (n *Node) source(uid string) (Source, Refusal) {
	pod := n.pods[uid]
	if n.excluded(pod) {
		return Source{}, Excluded
	}
	service := n.serviceOf(pod)
	switch {
	case service == nil:
		return Source{}, Undeclared
	case service.Hz == 0:
		return Source{}, Off
	}
	return Source{
		Whose: n.whose(pod, service, pod.Only), UID: uid, Service: *service, Address: pod.Addresses[0],
		Containers: pod.Containers,
	}, Taken
}

func has(pod Pod, address netip.Addr) bool {
	if pod.Ended {
		return false
	}
	for _, each := range pod.Addresses {
		if each == address {
			return true
		}
	}
	return false
}
