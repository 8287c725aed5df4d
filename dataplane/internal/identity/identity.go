package identity

import (
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
)

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Pod is what is known of one.
type Pod struct {
	Namespace, Name     string
	Labels, Annotations map[string]string
	Containers          map[string]string // name by id
	Addresses           []netip.Addr
	HostNetwork         bool   // its addresses are the node's
	Ended               bool   // its addresses may be another pod's by now
	Only                string // name of its container, where it has one alone
}

// PodOf keeps what is needed of a pod.
func PodOf(from *core.Pod) Pod {
	pod := Pod{
		Namespace: from.Namespace, Name: from.Name, Labels: from.Labels, Annotations: from.Annotations,
		Containers: map[string]string{}, HostNetwork: from.Spec.HostNetwork,
		Ended: from.Status.Phase == core.PodSucceeded || from.Status.Phase == core.PodFailed,
	}
	if len(from.Spec.Containers) == 1 {
		pod.Only = from.Spec.Containers[0].Name
	}
	status := from.Status
	for _, each := range status.PodIPs {
		if address, err := netip.ParseAddr(each.IP); err == nil {
			pod.Addresses = append(pod.Addresses, address.Unmap())
		}
	}
	for _, each := range slices.Concat(status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses) {
		_, id, _ := strings.Cut(each.ContainerID, "://")
		pod.Containers[id] = each.Name
	}
	return pod
}

// Node knows the pods that run here, and what is declared.
type Node struct {
	name string

	mutex    sync.RWMutex
	declared *Declared
	pods     map[string]Pod // by uid
	listed   bool           // what is not in it does not run here
}

// NewNode begins without any pod.
func NewNode(name string, declared *Declared) *Node {
	return &Node{name: name, declared: declared, pods: map[string]Pod{}}
}

// Declare takes over what is declared now.
func (n *Node) Declare(declared *Declared) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.declared = declared
}

// SetPods takes over the list of all pods of the node, by uid.
func (n *Node) SetPods(pods map[string]Pod) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.pods, n.listed = pods, true
}

// Whose is to whom samples of a cgroup belong.
type Whose struct {
	Team   string
	Labels map[string]string
	Hz     uint32
	OffCPU bool
	GitRef bool // it is known
}

// Of says it; false where nobody may see them, or nobody wants to.
func (n *Node) Of(path string) (Whose, bool) {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	place, inPod := PlaceOf(path)
	pod, known := n.pods[n.uid(place.Pod)]
	switch {
	case !inPod:
		return n.undeclared(map[string]string{"service_name": "node"})
	case !known: // it may be one that is excluded
		return Whose{}, false
	case n.excluded(pod):
		return Whose{}, false
	}
	container := pod.Containers[place.Container]
	if service := n.serviceOf(pod); service != nil {
		whose := n.whose(pod, service, container)
		return whose, whose.Hz > 0 || whose.OffCPU
	}
	labels := podLabels(pod, container)
	labels["service_name"] = pod.Namespace + "/" + owner(pod)
	return n.undeclared(labels)
}

// excluded is whether nobody may look into a pod.
func (n *Node) excluded(pod Pod) bool {
	return slices.Contains(n.declared.ExcludedNamespaces, pod.Namespace) || pod.Annotations[n.declared.OptOut] == "false"
}

// serviceOf is the declared service that a pod belongs to, or nil.
func (n *Node) serviceOf(pod Pod) *Service {
	for i := range n.declared.Services {
		if service := &n.declared.Services[i]; service.selects(pod.Namespace, pod.Labels) {
			return service
		}
	}
	return nil
}

func podLabels(pod Pod, container string) map[string]string {
	labels := map[string]string{"namespace": pod.Namespace, "pod": pod.Name}
	if container != "" {
		labels["container"] = container
	}
	return labels
}

// whose labels what comes of a pod of a service.
func (n *Node) whose(pod Pod, service *Service, container string) Whose {
	labels := podLabels(pod, container)
	whose := Whose{Team: service.Team, Labels: labels, Hz: min(service.rate(), n.declared.BaseHz), OffCPU: service.offCPU()}
	labels["service_name"], labels["team"], labels["node"] = service.Name, service.Team, n.name
	for label, key := range map[string]string{"service_version": service.Labels.Version, "track": service.Labels.Track} {
		if value := pod.value(key); value != "" {
			labels[label] = value
		}
	}
	if ref := pod.value(service.Labels.GitRef); fullSHA.MatchString(ref) { // a missing one is counted, never guessed
		labels["service_git_ref"], whose.GitRef = ref, true
	}
	return whose
}

// undeclared says it of what belongs to no service.
func (n *Node) undeclared(labels map[string]string) (Whose, bool) {
	to := n.declared.Undeclared
	if to == nil {
		return Whose{}, false
	}
	labels["team"], labels["node"] = to.Team, n.name
	return Whose{Team: to.Team, Labels: labels, Hz: min(to.Hz, n.declared.BaseHz), GitRef: true}, true
}

// uid finds a pod by the hash that the kubelet names a static pod's cgroup by: it stands without dashes there.
func (n *Node) uid(found string) string {
	if _, ok := n.pods[found]; ok {
		return found
	}
	return strings.ReplaceAll(found, "-", "")
}

// Told is what the BPF programs are told: of each pod by its own cgroup, which holds for its containers from the first
// sample of each, and of everything else by 0.
type Told struct {
	Rates  map[uint64]uint32
	OffCPU []uint64 // those whose blocked time is counted
}

// Told says it of what runs. “processes“ have their own cgroup last.
func (n *Node) Told(processes iter.Seq[[]Cgroup]) Told {
	told := Told{Rates: map[uint64]uint32{}}
	if whose, ok := n.Of("/"); ok {
		told.Rates[0] = whose.Hz
	}
	for cgroups := range processes {
		for _, cgroup := range cgroups {
			if _, known := told.Rates[cgroup.ID]; known {
				break
			}
			if _, ok := PlaceOf(cgroup.Path); !ok {
				continue
			}
			whose, ok := n.Of(cgroup.Path)
			if !ok {
				whose = Whose{}
			}
			told.Rates[cgroup.ID] = whose.Hz
			if whose.OffCPU {
				told.OffCPU = append(told.OffCPU, cgroup.ID)
			}
			break // what lies below it is the same pod
		}
	}
	return told
}

// Pods counts the pods of each declared service, by name and team.
func (n *Node) Pods() map[[2]string]int {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	found := map[[2]string]int{}
	for _, pod := range n.pods {
		if service := n.serviceOf(pod); service != nil {
			found[[2]string{service.Name, service.Team}]++
		}
	}
	return found
}

func (p Pod) value(key string) string {
	if value := p.Labels[key]; value != "" {
		return value
	}
	return p.Annotations[key]
}

// owner names a pod of no service by what it usually is called after.
func owner(pod Pod) string {
	for _, key := range []string{"app.kubernetes.io/name", "app", "k8s-app"} {
		if value := pod.Labels[key]; value != "" {
			return value
		}
	}
	return pod.Name
}
