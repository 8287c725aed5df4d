package received

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestAPodHasOnePlaceAtATime(t *testing.T) {
	p := newPlaces(2, time.Hour)
	ctx, stop := context.WithCancel(context.Background())
	a, b, c := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	if !p.enter(ctx, a) || !p.enter(ctx, b) {
		t.Fatal("no place")
	}
	second, third := make(chan bool), make(chan bool)
	go func() { second <- p.enter(ctx, a) }()
	go func() { third <- p.enter(ctx, c) }()
	p.leave(b)
	if !<-third { // the place is not the second request's of a pod that has one
		t.Error("the third pod got no place")
	}
	stop()
	if <-second {
		t.Error("a pod has two places")
	}
	if p.enter(ctx, b) {
		t.Error("there is a third place")
	}
	p.leave(a)
	p.leave(c)
	if len(p.lines) != 0 || len(p.all) != 0 {
		t.Errorf("%v, %d", p.lines, len(p.all))
	}
	p.patience = time.Nanosecond
	w := newWorld(t)
	w.places = p
	p.all <- struct{}{}
	p.all <- struct{}{}
	if status, _ := w.post(cart, "/ingest?format=pprof", octets, nil); status != http.StatusTooManyRequests || w.refused("busy") != 1 {
		t.Errorf("%d", status)
	}
}

func TestALineHasAnEnd(t *testing.T) {
	p := newPlaces(1, time.Hour)
	address := netip.MustParseAddr("10.0.0.1")
	for range mostWaiting {
		if p.join(address) == nil {
			t.Fatal("no place in the line")
		}
	}
	if p.enter(context.Background(), address) {
		t.Error("the line has no end")
	}
}
