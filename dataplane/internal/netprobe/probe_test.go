package netprobe

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var own, other = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")

// A port that nobody listens on stands in for one that a policy closes: both end a call without an answer.
func world(t *testing.T, open, ingress, egress bool) *Probe {
	t.Helper()
	port := func(listening bool) int {
		listener, err := net.Listen("tcp", net.JoinHostPort(other.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		number := listener.Addr().(*net.TCPAddr).Port
		if !listening {
			listener.Close()
			return number
		}
		t.Cleanup(func() { listener.Close() })
		go func() { _ = hangUp(listener) }()
		return number
	}
	return NewProbe(Ports{port(open), port(ingress), port(egress)}, []netip.Addr{own}, found(own, other), time.Second)
}

func found(addresses ...netip.Addr) func(context.Context) ([]netip.Addr, error) {
	return func(context.Context) ([]netip.Addr, error) { return slices.Clone(addresses), nil }
}

// Who gets through in one family has shown it; who says nothing in one has the other prove nothing.
func TestEachFamilyIsShown(t *testing.T) {
	const closed, ingress, egress, silent, open = "closed", "ingress open", "egress open", "silent", "open"
	for name, c := range map[string]struct {
		four, six string
		says      string
	}{
		"both hold":                  {closed, closed, "are enforced"},
		"IPv4 alone":                 {closed, "", "are enforced"},
		"IPv6 alone":                 {"", closed, "are enforced"},
		"IPv6 alone, open":           {"", open, "NOT enforced: the cluster"},
		"IPv6 is forgotten":          {closed, open, "NOT enforced: the cluster"},
		"IPv4 is forgotten":          {open, closed, "NOT enforced: the cluster"},
		"one each":                   {ingress, egress, "NOT enforced: the cluster"},
		"IPv6 on the way in":         {closed, ingress, "NOT enforced on the way in"},
		"IPv6 is silent":             {closed, silent, "not known"},
		"IPv4 is silent":             {silent, closed, "not known"},
		"one silent, the other open": {egress, silent, "NOT enforced on the way out"},
		"none":                       {"", "", "no other pod"},
	} {
		t.Run(name, func(t *testing.T) {
			fours := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
			sixes := []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")}
			own, peers := []netip.Addr{}, []netip.Addr{}
			for how, addresses := range map[*string][]netip.Addr{&c.four: fours, &c.six: sixes} {
				if *how != "" {
					own, peers = append(own, addresses[0]), append(peers, addresses...)
				}
			}
			probe := NewProbe(Ports{Open: 1, IngressClosed: 2, EgressClosed: 3}, own, found(peers...), time.Second)
			probe.call = func(_ context.Context, peer netip.Addr, port int) error {
				how := c.four
				if peer.Is6() {
					how = c.six
				}
				through := map[string][]int{closed: {1}, ingress: {1, 2}, egress: {1, 3}, open: {1, 2, 3}}[how]
				if slices.Contains(own, peer) || !slices.Contains(through, port) {
					return errors.New("no answer")
				}
				return nil
			}
			if verdict := probe.Round(t.Context()); !strings.Contains(verdict.String(), c.says) {
				t.Errorf("got %q", verdict)
			}
		})
	}
}

// A Service of one family names no address of the other, by which the pods may be reached all the same.
func TestWhatIsNotTriedIsNotShown(t *testing.T) {
	probe := world(t, true, false, false)
	probe.Own = append(probe.Own, netip.MustParseAddr("fd00::1"))
	if verdict := probe.Round(t.Context()); verdict.Known || !strings.Contains(verdict.String(), "each family") {
		t.Errorf("got %q", verdict)
	}
}

func TestOfAnotherFamilyNothingIsCalled(t *testing.T) {
	probe := world(t, true, false, false)
	probe.Peers = found(own, other, netip.MustParseAddr("fd00::2"))
	call := probe.call
	probe.call = func(ctx context.Context, peer netip.Addr, port int) error {
		if peer.Is6() {
			t.Error("a pod without IPv6 calls", peer)
		}
		return call(ctx, peer, port)
	}
	if verdict := probe.Round(t.Context()); !verdict.Enforced() {
		t.Errorf("got %q", verdict)
	}
}

func TestAddressesOfThePod(t *testing.T) {
	for text, count := range map[string]int{"10.0.0.1": 1, "fd00::1": 1, "10.0.0.1,fd00::1": 2, "10.0.0.1, fd00::1": 2, "": 0, "10.0.0.1,": 0, "pod": 0} {
		if got, err := Addresses(text); len(got) != count || (err != nil) != (count == 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// Both families are taken by one socket, where the machine has both.
func TestItListensInBothFamilies(t *testing.T) {
	ports := world(t, false, false, false).Ports
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Listen(ctx, "", ports) }()
	hosts := []string{"127.0.0.1"}
	if one, err := net.Listen("tcp", "[::1]:0"); err == nil {
		one.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		for deadline := time.Now().Add(10 * time.Second); ; {
			connection, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(ports.Open)))
			if err == nil {
				connection.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", host, err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		open, ingress, egress bool // who answers
		enforced              string
	}{
		"both hold":             {true, false, false, "enforced"},
		"nothing is enforced":   {true, true, true, "NOT enforced: the cluster"},
		"ingress is open":       {true, true, false, "NOT enforced on the way in"},
		"egress is open":        {true, false, true, "NOT enforced on the way out"},
		"silence proves naught": {false, false, false, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			found := world(t, c.open, c.ingress, c.egress).Round(t.Context())
			if !strings.Contains(found.String(), c.enforced) {
				t.Errorf("got %q", found)
			}
			if found.Enforced() != (c.enforced == "enforced") {
				t.Errorf("enforced: %v", found.Enforced())
			}
		})
	}
}

func TestAlonePodsKnowNothing(t *testing.T) {
	probe := world(t, true, false, false)
	probe.Peers = func(context.Context) ([]netip.Addr, error) { return []netip.Addr{own}, nil }
	if found := probe.Round(t.Context()); found.Known {
		t.Errorf("got %q", found)
	}
	probe.Peers = func(context.Context) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	if found := probe.Round(t.Context()); found.Known || !strings.Contains(found.Why, "no such host") {
		t.Errorf("got %q", found)
	}
}

func TestASilentPodDoesNotHideTheOthers(t *testing.T) {
	gone := netip.MustParseAddr("127.0.0.9")
	for _, order := range [][]netip.Addr{{own, gone, other}, {own, other, gone}} {
		probe := world(t, true, true, true)
		probe.Peers = func(context.Context) ([]netip.Addr, error) { return order, nil }
		if found := probe.Round(t.Context()); !found.Known || found.Ingress || found.Egress {
			t.Errorf("peers %v: got %q", order, found)
		}
	}
}

func TestAPodThatEndsMeanwhileIsNoProof(t *testing.T) {
	probe := world(t, true, false, false)
	listener, err := net.Listen("tcp", net.JoinHostPort(other.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	probe.Ports.Open = listener.Addr().(*net.TCPAddr).Port
	go func() { // it answers once
		connection, err := listener.Accept()
		listener.Close()
		if err == nil {
			connection.Close()
		}
	}()
	if found := probe.Round(t.Context()); found.Known {
		t.Errorf("got %q", found)
	}
}

func TestItsOwnAddressIsNoOtherPod(t *testing.T) {
	probe := world(t, true, false, false)
	probe.Peers = func(context.Context) ([]netip.Addr, error) {
		return []netip.Addr{netip.AddrFrom16(own.As16())}, nil // as a resolver may write it
	}
	if found := probe.Round(t.Context()); found.Known || !strings.Contains(found.Why, "no other pod") {
		t.Errorf("got %q", found)
	}
}

func TestAnInterruptedRoundIsNoProof(t *testing.T) {
	probe := world(t, true, false, false)
	ctx, cancel := context.WithCancel(t.Context())
	peers := probe.Peers
	probe.Peers = func(ctx context.Context) ([]netip.Addr, error) {
		found, err := peers(ctx)
		cancel()
		return found, err
	}
	if found := probe.Round(ctx); found.Known {
		t.Errorf("got %q", found)
	}
}

func TestReadinessDemandsEnforcement(t *testing.T) {
	held, open := Verdict{Known: true, Ingress: true, Egress: true}, Verdict{Known: true}
	for name, c := range map[string]struct {
		demand  bool
		verdict Verdict
		status  int
	}{
		"prod, enforced":     {true, held, 200},
		"prod, not enforced": {true, open, 503},
		"prod, not known":    {true, unknown("no other pod"), 503},
		"local":              {false, open, 200},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			state := NewState(registry, c.demand)
			state.Set(c.verdict, time.Unix(100, 0))
			answer := httptest.NewRecorder()
			state.Ready(answer, nil)
			if answer.Code != c.status {
				t.Errorf("got %d: %s", answer.Code, answer.Body)
			}
			want := map[bool]int{true: 3, false: 1}[c.verdict.Known] // two directions and the time; the time alone
			if count, err := testutil.GatherAndCount(registry); err != nil || count != want {
				t.Errorf("%d metrics, %v", count, err)
			}
		})
	}
}

func TestListenOpensAllPortsOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", net.JoinHostPort(own.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := world(t, false, false, false).Ports
	free.EgressClosed = taken.Addr().(*net.TCPAddr).Port
	if err := Listen(t.Context(), own.String(), free); err == nil {
		t.Error("it listens on a port that is taken")
	}
	if connection, err := net.Dial("tcp", net.JoinHostPort(own.String(), "0")); err == nil {
		connection.Close()
	}
	listener, err := net.Listen("tcp", netip.AddrPortFrom(own, uint16(free.Open)).String())
	if err != nil {
		t.Fatalf("the first port stayed open: %v", err)
	}
	listener.Close()
}
