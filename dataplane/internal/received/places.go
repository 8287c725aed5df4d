package received

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

const mostWaiting = 8 // requests of one pod, the one that has a place among them

// places are where requests are read, so that only so many bodies are in memory. A pod has one of them at a time.
type places struct {
	all      chan struct{}
	patience time.Duration

	mutex sync.Mutex
	lines map[netip.Addr]*line
}

type line struct {
	first   chan struct{}
	waiting int
}

func newPlaces(number int, patience time.Duration) *places {
	return &places{all: make(chan struct{}, number), patience: patience, lines: map[netip.Addr]*line{}}
}

// enter waits a while for a place. Where it got one it has to leave.
func (p *places) enter(ctx context.Context, address netip.Addr) bool {
	ctx, stop := context.WithTimeout(ctx, p.patience)
	defer stop()
	one := p.join(address)
	if one == nil {
		return false
	}
	select {
	case one.first <- struct{}{}:
	case <-ctx.Done():
		p.part(address)
		return false
	}
	select {
	case p.all <- struct{}{}:
		return true
	case <-ctx.Done():
		<-one.first
		p.part(address)
		return false
	}
}

func (p *places) leave(address netip.Addr) {
	<-p.all
	p.mutex.Lock()
	one := p.lines[address]
	p.mutex.Unlock()
	<-one.first
	p.part(address)
}

func (p *places) join(address netip.Addr) *line {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one := p.lines[address]
	if one == nil {
		one = &line{first: make(chan struct{}, 1)}
		p.lines[address] = one
	}
	if one.waiting == mostWaiting {
		return nil
	}
	one.waiting++
	return one
}

func (p *places) part(address netip.Addr) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.lines[address].waiting--; p.lines[address].waiting == 0 {
		delete(p.lines, address)
	}
}
