package netprobe

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
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
	return &Probe{
		Ports:   Ports{port(open), port(ingress), port(egress)},
		Own:     own,
		Peers:   func(context.Context) ([]netip.Addr, error) { return []netip.Addr{own, other}, nil },
		Timeout: time.Second,
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
	if err := Listen(t.Context(), own, free); err == nil {
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
