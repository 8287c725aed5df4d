package preflight

import "fmt"

// The matrix of docs/agent.md: from which kernel on there is what.
var (
	whole  = release{6, 10} // all of it: kfuncs in programs that are run on request
	places = release{5, 19} // sampling by build id: bpf(2) on pins without CAP_BPF
	links  = release{5, 8}  // CAP_BPF and CAP_PERFMON
)

type release struct{ major, minor int }

func (r release) before(other release) bool {
	return r.major < other.major || r.major == other.major && r.minor < other.minor
}

func (r release) String() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

func (n Node) release() (found release, err error) {
	if _, err := fmt.Sscanf(n.Release, "%d.%d", &found.major, &found.minor); err != nil {
		return found, fmt.Errorf("the kernel calls itself %q, which is no version", n.Release)
	}
	return found, nil
}

// Whole is whether the kernel has all that the programs call. Else code is told by build id alone, and there is no
// off-CPU time.
func (n Node) Whole() bool {
	found, err := n.release()
	return err == nil && !found.before(whole)
}

func (n Node) kernel() error {
	found, err := n.release()
	switch {
	case err != nil:
		return err
	case found.before(links):
		return fmt.Errorf("the kernel is %s, and before %v there is no CAP_PERFMON: "+
			"the agent needs %v or newer, and %v for names of functions and off-CPU time", n.Release, links, places, whole)
	case found.before(places):
		return fmt.Errorf("the kernel is %s. From %v to 5.18 it lets nobody use BPF maps without CAP_BPF, which the agent does not "+
			"take: it needs %v or newer, and %v for names of functions and off-CPU time", n.Release, links, places, whole)
	}
	return nil
}
