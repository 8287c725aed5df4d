// Package netprobe finds out whether the cluster enforces NetworkPolicies. An API server stores them in any case; whether
// packets are dropped is the network plugin's matter, and nothing says so.
//
// Two pods of one Deployment call each other on three ports. Their policy opens the first both ways, the second out but
// not in, and the third in but not out. Who gets through where it is closed has shown that nobody closes it.
package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
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
	Own     netip.Addr
	Peers   func(ctx context.Context) ([]netip.Addr, error)
	Timeout time.Duration // of a call: what a policy drops is never answered
}

// Round calls every other pod once.
func (p *Probe) Round(ctx context.Context) Verdict {
	peers, err := p.Peers(ctx)
	if err != nil {
		return unknown("the other pods are not found: %v", err)
	}
	verdict, others, answered := Verdict{Known: true, Ingress: true, Egress: true}, 0, 0
	var silent Verdict
	for _, peer := range peers {
		if peer = peer.Unmap(); peer == p.Own.Unmap() {
			continue
		}
		others++
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
	if others == 0 {
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

func (p *Probe) call(ctx context.Context, peer netip.Addr, port int) error {
	dialer := net.Dialer{Timeout: p.Timeout}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(peer.String(), strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return connection.Close()
}

// Listen opens all ports, or none, and hangs up on whoever calls, until the context ends.
func Listen(ctx context.Context, address netip.Addr, ports Ports) error {
	var opened []net.Listener
	for _, port := range []int{ports.Open, ports.IngressClosed, ports.EgressClosed} {
		listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
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
