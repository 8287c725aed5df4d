// Package netprobe finds out whether the cluster enforces NetworkPolicies. An API server stores them in any case; whether
// packets are dropped is the network plugin's matter, and nothing says so.
//
// Two pods of one Deployment call each other on three ports. Their policy opens the first both ways, the second out but
// not in, and the third in but not out. Who gets through where it is closed has shown that nobody closes it.
//
// IPv4 and IPv6 are filtered apart: where pods have addresses of both, each has to be shown.
package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ports of both pods, as components/network_probe.py opens them.
type Ports struct {
	Open          int // both ways: the control, without which silence proves nothing
	IngressClosed int // may be called, may not be answered
	EgressClosed  int // would be answered, may not be called
}

// Verdict is what one round has shown. Not Known: a control failed, and Why says which.
type Verdict struct {
	Known           bool
	Ingress, Egress bool // enforced
	Why             string
}

// Enforced says whether policies hold in both directions, as far as it is known.
func (v Verdict) Enforced() bool { return v.Known && v.Ingress && v.Egress }

// Probe calls the other pods. Peers gives their addresses, this pod's own among them.
type Probe struct {
	Ports   Ports
	Own     []netip.Addr // one of each family that the pod has
	Peers   func(ctx context.Context) ([]netip.Addr, error)
	Timeout time.Duration // of a call: what a policy drops is never answered
	call    func(ctx context.Context, peer netip.Addr, port int) error
}

// NewProbe calls over TCP.
func NewProbe(ports Ports, own []netip.Addr, peers func(context.Context) ([]netip.Addr, error), timeout time.Duration) *Probe {
	return &Probe{Ports: ports, Own: own, Peers: peers, Timeout: timeout, call: dial(timeout)}
}

// Addresses reads what the downward API gives as status.podIPs.
func Addresses(text string) ([]netip.Addr, error) {
	var found []netip.Addr
	for one := range strings.SplitSeq(text, ",") {
		address, err := netip.ParseAddr(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		found = append(found, address.Unmap())
	}
	return found, nil
}

// Round calls every other pod once, in each family that both have. One in which somebody gets through has shown
// enough; as long as one is silent, nothing is known.
func (p *Probe) Round(ctx context.Context) Verdict {
	peers, err := p.Peers(ctx)
	if err != nil {
		return unknown("the other pods are not found: %v", err)
	}
	shown, silent := Verdict{Known: true, Ingress: true, Egress: true}, unknown("there is no other pod yet")
	families, known := 0, 0
	for _, of := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		addresses := family(peers, of)
		if !slices.ContainsFunc(p.Own, of) {
			continue // nobody to call from
		}
		families++
		if len(addresses) == 0 && len(peers) > 0 { // the pod has it, and may be reached by it: what was not tried is not shown
			silent = unknown("no pod is found by each family that this one has: are the cluster's Services of both?")
			continue
		}
		verdict := p.round(ctx, slices.DeleteFunc(addresses, func(a netip.Addr) bool { return slices.Contains(p.Own, a) }))
		if !verdict.Known {
			silent = verdict
			continue
		}
		known++
		shown.Ingress, shown.Egress = shown.Ingress && verdict.Ingress, shown.Egress && verdict.Egress
	}
	if known == families && families > 0 || !shown.Enforced() {
		return shown
	}
	return silent
}

func family(addresses []netip.Addr, of func(netip.Addr) bool) []netip.Addr {
	var found []netip.Addr
	for _, address := range addresses {
		if address = address.Unmap(); of(address) {
			found = append(found, address)
		}
	}
	return found
}

// round calls the addresses of one family.
func (p *Probe) round(ctx context.Context, others []netip.Addr) Verdict {
	verdict, answered := Verdict{Known: true, Ingress: true, Egress: true}, 0
	var silent Verdict
	for _, peer := range others {
		if err := p.call(ctx, peer, p.Ports.Open); err != nil {
			silent = unknown("%s does not answer on the open port: %v", peer, err)
			continue // it may be gone; the others prove as much
		}
		ingress, egress := p.call(ctx, peer, p.Ports.IngressClosed) != nil, p.call(ctx, peer, p.Ports.EgressClosed) != nil
		if err := p.call(ctx, peer, p.Ports.Open); err != nil && (ingress || egress) {
			silent = unknown("%s ended meanwhile: %v", peer, err)
			continue // its silence proves nothing
		}
		answered++
		// A port that nobody listens on looks like a closed one; each pod opens all three, or none.
		verdict.Ingress = verdict.Ingress && ingress
		verdict.Egress = verdict.Egress && egress
	}
	if len(others) == 0 {
		return unknown("there is no other pod yet")
	}
	if answered == 0 {
		return silent
	}
	if err := ctx.Err(); err != nil {
		return unknown("%v", err)
	}
	return verdict
}

func unknown(format string, values ...any) Verdict {
	return Verdict{Why: fmt.Sprintf(format, values...)}
}

func dial(timeout time.Duration) func(context.Context, netip.Addr, int) error {
	dialer := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, peer netip.Addr, port int) error {
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(peer.String(), strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// Listen opens all ports, or none, and hangs up on whoever calls, until the context ends. No host: all that the pod has,
// in both families.
func Listen(ctx context.Context, host string, ports Ports) error {
	var opened []net.Listener
	for _, port := range []int{ports.Open, ports.IngressClosed, ports.EgressClosed} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			for _, other := range opened {
				err = errors.Join(err, other.Close())
			}
			return err
		}
		opened = append(opened, listener)
	}
	ended := make(chan error, len(opened))
	for _, listener := range opened {
		go func() { ended <- hangUp(listener) }()
	}
	select {
	case <-ctx.Done():
	case err := <-ended:
		return fmt.Errorf("a port was closed: %w", err)
	}
	return nil // the process ends with it
}

func hangUp(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		_ = connection.Close()
	}
}
