package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"flameplane.dev/dataplane/internal/intake"
	"flameplane.dev/dataplane/internal/jfr/forged"
)

// While the gateway is down what is pushed and scraped waits, and all of it arrives once it is up again.
func TestNothingIsLostWhileTheGatewayIsDown(t *testing.T) {
	w := newWorld(t)
	w.gateway.set(true)
	const number = 30
	for i := range number {
		if status := w.push([]string{cart, search}[i%2], "pprof", numbered(t, i+1)); status != http.StatusOK {
			t.Fatalf("%d: %s", status, w.said)
		}
	}
	w.eventually("the gateway is tried in vain", func() bool {
		return strings.Contains(w.get("/metrics"), `flameplane_agent_push_failures_total{code="unavailable"}`)
	})
	w.gateway.set(false)
	w.eventually("all has come", func() bool {
		for i := range number {
			if w.gateway.count(fmt.Sprintf("%016x", i+1)) == 0 {
				return false
			}
		}
		return w.gateway.count("shop/cart/cart-0 goroutine") > 0 // scraped
	})
	for i := range number {
		if times := w.gateway.count(fmt.Sprintf("%016x", i+1)); times != 1 {
			t.Errorf("%d came %d times", i+1, times)
		}
	}
	if w.gateway.count("shop/cart/cart-0 wall") != number/2 || w.gateway.count("catalog/search/search-0 wall") != number/2 || len(w.gateway.bad) > 0 {
		t.Errorf("%v %v", w.gateway.taken, w.gateway.bad)
	}
	told := w.get("/metrics")
	for _, want := range []string{
		`flameplane_receiver_received_profiles_total{format="pprof",service="cart"} 15`, `flameplane_receiver_received_bytes_total `,
		`flameplane_receiver_scrapes_total{outcome="sent",service="cart",type="goroutine"}`, `flameplane_receiver_targets 1`,
		`flameplane_agent_git_ref_missing_total{service="search"} 15`, `flameplane_agent_pushed_profiles_total`,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("no %s in\n%s", want, told)
		}
	}
	if strings.Contains(told, "flameplane_agent_dropped_samples_total{") {
		t.Error("something was dropped")
	}
}

// A receiver that is told to end sends what it took first. A recording goes by the process apart.
func TestWhatWasTakenIsSentBeforeTheEnd(t *testing.T) {
	recording, err := os.ReadFile("../../contract/profiles/java.jfr.gz")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	if status := w.push(cart, "pprof", numbered(t, 77)); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if status := w.push("127.0.0.99", "pprof", numbered(t, 78)); status != http.StatusForbidden {
		t.Errorf("%d", status)
	}
	if told := w.get("/metrics"); !strings.Contains(told, `flameplane_receiver_refused_total{reason="unknown-address"} 1`) {
		t.Error(told)
	}
	for _, one := range []struct {
		address, kind string
		body          []byte
	}{{search, "jfr", unzipped(t, recording)}, {search, "pprof", numbered(t, 79)}} {
		if status := w.push(one.address, one.kind, one.body); status != http.StatusOK {
			t.Errorf("%s: %d", one.kind, status)
		}
	}
	if err := w.stops(); err != nil {
		t.Errorf("%v\n%s", err, w.said)
	}
	if w.gateway.count(fmt.Sprintf("%016x", 77)) != 1 || w.gateway.count(fmt.Sprintf("%016x", 79)) != 1 ||
		w.gateway.count("catalog/search/search-0 process_cpu") == 0 || w.gateway.count(fmt.Sprintf("%016x", 78)) != 0 {
		t.Errorf("%v %v", w.gateway.taken, w.gateway.bad)
	}
}

// Recordings that were made to use up what there is are refused, counted, and cost nobody else anything.
func TestAnAttackOnTheProcessApartIsRefused(t *testing.T) {
	recording, err := os.ReadFile("../../contract/profiles/java.jfr.gz")
	if err != nil {
		t.Fatal(err)
	}
	good := unzipped(t, recording)
	w := newWorld(t)
	refused := regexp.MustCompile(`flameplane_receiver_refused_total\{reason="jfr-(memory|time)"\} (\d+)`)
	for name, forge := range map[string]func(*forged.Recording){
		"memory": func(r *forged.Recording) { r.Names(1_500_000) }, // or time, where the machine has much else to do
		"time":   func(r *forged.Recording) { r.Circle() },
	} {
		made, err := forged.From(good)
		if err != nil {
			t.Fatal(err)
		}
		forge(made)
		if status := w.push(cart, "jfr", intake.Pack(made.Text)); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", name, status)
		}
		if status := w.push(search, "jfr", good); status != http.StatusOK || w.get("/healthz") != "ok\n" {
			t.Errorf("after %s: %d\n%s", name, status, w.said)
		}
	}
	count := 0
	for _, each := range refused.FindAllStringSubmatch(w.get("/metrics"), -1) {
		number, _ := strconv.Atoi(each[2])
		count += number
	}
	if count != 2 {
		t.Errorf("%d are counted", count)
	}
	if err := w.stops(); err != nil || w.gateway.count("catalog/search/search-0 process_cpu") != 2 {
		t.Errorf("%v %v\n%s", err, w.gateway.taken, w.said)
	}
}

// A gateway that stays down does not keep the receiver from ending.
func TestItEndsWithoutTheGateway(t *testing.T) {
	w := newWorld(t)
	w.gateway.set(true)
	w.push(cart, "pprof", numbered(t, 1))
	if err := w.stops(); err != nil {
		t.Errorf("%v\n%s", err, w.said)
	}
}
