package identity

import (
	"maps"
	"net/netip"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func addressed(namespace, name, app, address string, change func(*core.Pod)) Pod {
	made := &core.Pod{
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "main"}}},
		Status:     core.PodStatus{PodIPs: []core.PodIP{{IP: address}, {IP: "fd00::" + address[len(address)-1:]}}},
	}
	if change != nil {
		change(made)
	}
	return PodOf(made)
}

func TestWhoseAnAddressIs(t *testing.T) {
	n := node(t, "")
	if _, refused := n.At(netip.MustParseAddr("10.0.0.1")); refused != NotListed || n.Listed() {
		t.Errorf("before the pods are known: %q", refused)
	}
	n.declared.Services[1].Hz = 0
	n.SetPods(map[string]Pod{
		"1": addressed("shop", "cart-0", "cart", "10.0.0.1", nil),
		"2": addressed("shop", "cart-1", "cart", "10.0.0.2", func(p *core.Pod) { p.Spec.HostNetwork = true }),
		"3": addressed("shop", "other-0", "other", "10.0.0.3", nil),
		"4": addressed("vault", "cart-0", "cart", "10.0.0.4", nil),
		"5": addressed("shop", "cart-2", "cart", "10.0.0.5", nil),
		"6": addressed("shop", "cart-3", "cart", "10.0.0.5", nil),
		"7": addressed("shop", "cart-4", "cart", "10.0.0.7", func(p *core.Pod) { p.Status.Phase = core.PodFailed }),
		"8": addressed("shop", "cart-5", "cart", "10.0.0.8", func(p *core.Pod) { p.Annotations = map[string]string{"x/profile": "false"} }),
		"9": addressed("shop", "inside-0", "inside", "10.0.0.9", nil),
	})
	for address, want := range map[string]Refusal{
		"10.0.0.1": Taken, "fd00::1": Taken, "::ffff:10.0.0.1": Taken, "10.0.0.2": HostNetwork, "10.0.0.3": Undeclared,
		"10.0.0.4": Excluded, "10.0.0.5": Ambiguous, "10.0.0.6": UnknownAddress, "10.0.0.7": UnknownAddress,
		"10.0.0.8": Excluded, "10.0.0.9": Off,
	} {
		source, refused := n.At(netip.MustParseAddr(address))
		if refused != want {
			t.Errorf("%s: %q", address, refused)
		}
		labels := map[string]string{
			"service_name": "cart", "team": "shop", "namespace": "shop", "pod": "cart-0", "container": "main", "node": "n1",
		}
		if want == Taken && (!maps.Equal(source.Labels, labels) || source.UID != "1" || source.GitRef) {
			t.Errorf("%s: %+v", address, source)
		}
	}
	found := map[string]bool{}
	for _, source := range n.Sources() {
		found[source.Labels["pod"]] = true
	}
	if !maps.Equal(found, map[string]bool{"cart-0": true, "cart-2": true, "cart-3": true}) {
		t.Errorf("%v", found)
	}
}

func TestWhoTellsTheCPUTime(t *testing.T) {
	n := node(t, "")
	for i, want := range []bool{false, true} {
		if found := (Source{Service: n.declared.Services[i]}).WantsCPU(); found != want {
			t.Errorf("%s: %v", n.declared.Services[i].Name, found)
		}
	}
}
