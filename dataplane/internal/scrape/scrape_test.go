package scrape

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/identity"
)

// What is cumulative is sent as what came between two scrapes, exactly.
func TestWhatCameBetweenTwoScrapes(t *testing.T) {
	p := start(t)
	s, all := scraper(time.Hour, nil)
	for _, one := range []struct {
		kind, does, function, count, amount string
		each                                int64 // at least, of the amount; exactly for what is allocated
	}{
		{"alloc", "allocate", "main.allocated", "alloc_objects", "alloc_space", 1024},
		{"block", "block", "main.blocked", "contentions", "delay", int64(time.Millisecond) / 2},
		{"mutex", "contend", "main.contended", "contentions", "delay", int64(time.Millisecond) / 2},
	} {
		between := p.between(s, one.kind)
		p.does(one.does, 50)
		if outcome, got := p.scrape(s, all, one.kind, between); outcome != "first" || got != nil {
			t.Errorf("%s: %s %v", one.kind, outcome, got)
		}
		for _, number := range []int{7, 30} {
			p.does(one.does, number)
			outcome, got := p.scrape(s, all, one.kind, between)
			if outcome != "sent" {
				t.Fatalf("%s: %s", one.kind, outcome)
			}
			count, amount := in(t, got, one.count, one.function), in(t, got, one.amount, one.function)
			least := int64(number) * one.each
			if !counts(one.kind, count, number) || amount < least || one.kind == "alloc" && amount != least {
				t.Errorf("%s of %d: %d, %d", one.kind, number, count, amount)
			}
			if used := locations(got); used != len(got.Location) {
				t.Errorf("%s: %d locations, of which %d are used", one.kind, len(got.Location), used)
			}
			if got.DurationNanos <= 0 || time.Since(time.Unix(0, got.TimeNanos)) > time.Minute {
				t.Errorf("%s: from %d for %d", one.kind, got.TimeNanos, got.DurationNanos)
			}
		}
		if _, got := p.scrape(s, all, one.kind, between); got != nil && in(t, got, one.count, one.function) != 0 {
			t.Errorf("%s: nothing came since, and it is told", one.kind)
		}
	}
}

func locations(p *profile.Profile) int {
	used := map[*profile.Location]bool{}
	for _, sample := range p.Sample {
		for _, location := range sample.Location {
			used[location] = true
		}
	}
	return len(used)
}

// counts is whether a profile counts what was done. One lock is waited for by two: who has it, and who had it.
func counts(kind string, found int64, number int) bool {
	if kind == "mutex" {
		return found >= int64(number) && found <= 3*int64(number)
	}
	return found == int64(number)
}

func TestAProcessThatStartsAnewBeginsAnew(t *testing.T) {
	p := start(t)
	s, all := scraper(time.Hour, nil)
	between := p.between(s, "block")
	p.does("block", 50)
	p.scrape(s, all, "block", between)
	p.end()
	p.begin() // at the same address
	p.does("block", 5)
	if outcome, got := p.scrape(s, all, "block", between); outcome != "first" || got != nil {
		t.Errorf("%s %v", outcome, got)
	}
	p.does("block", 3)
	if _, got := p.scrape(s, all, "block", between); got == nil || in(t, got, "contentions", "main.blocked") != 3 {
		t.Errorf("%v", got)
	}
}

func TestGoroutinesAndCPUTimeAreAsTheyAre(t *testing.T) {
	p := start(t)
	s, all := scraper(time.Second, nil)
	p.does("park", 9)
	for range 2 {
		if _, got := p.scrape(s, all, "goroutine", nil); got == nil || in(t, got, "goroutine", "main.parked") != 9 {
			t.Errorf("%v", got)
		}
	}
	if outcome, _ := p.scrape(s, all, "cpu", nil); outcome != "sent" && outcome != "empty" {
		t.Error(outcome)
	}
}

func TestOnlyWhatIsDeclaredIsScraped(t *testing.T) {
	for want, service := range map[string]identity.Service{
		"alloc":           {Language: "go", PprofPort: 1, Types: []string{"cpu", "alloc", "offcpu"}, CPUSource: "ebpf"},
		"cpu":             {Language: "go", PprofPort: 1, Types: []string{"cpu"}, CPUSource: "agent"},
		"goroutine mutex": {Language: "go", PprofPort: 1, Types: []string{"mutex", "goroutine"}, CPUSource: "agent"},
		"":                {Language: "java", Types: []string{"alloc"}},
	} {
		if found := strings.Join(wanted(identity.Source{Service: service}), " "); found != want {
			t.Errorf("%+v: %s", service, found)
		}
	}
}

// Loops follow the pods and the declarations, and a pod's labels of now go with what is sent.
func TestLoopsFollowThePods(t *testing.T) {
	p := start(t)
	var mutex sync.Mutex
	sources := []identity.Source{p.source("goroutine", "mutex")}
	set := func(to ...identity.Source) { mutex.Lock(); sources = to; mutex.Unlock() }
	s, all := scraper(20*time.Millisecond, func() []identity.Source { mutex.Lock(); defer mutex.Unlock(); return sources })
	ctx, stop := context.WithCancel(context.Background())
	s.Look(ctx)
	if len(s.loops) != 2 {
		t.Errorf("%d loops", len(s.loops))
	}
	if one := <-all; one.name != "goroutine" || one.source.Labels["pod"] != "cart-0" {
		t.Errorf("%+v", one)
	}
	later := p.source("goroutine")
	later.Labels = map[string]string{"pod": "renamed"}
	set(later)
	s.Look(ctx)
	for one := range all {
		if one.source.Labels["pod"] == "renamed" {
			break
		}
	}
	again := p.source("goroutine")
	again.Containers = map[string]string{"c2": "main"}
	before := firstOf(s.loops)
	set(again)
	s.Look(ctx)
	if len(s.loops) != 1 || firstOf(s.loops) == before {
		t.Error("a container that started anew is scraped by the loop of before")
	}
	set()
	s.Look(ctx)
	if len(s.loops) != 0 || testutil.ToFloat64(s.metrics.targets) != 0 {
		t.Errorf("%d loops", len(s.loops))
	}
	stop()
	s.Wait()
}

func firstOf(loops map[target]*loop) *loop {
	for _, one := range loops {
		return one
	}
	return nil
}

// What answers otherwise than it should is no harm.
func TestWhatAnswersIsNotBelieved(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	var asked []string
	for name, answer := range map[string]http.HandlerFunc{
		"answers 302": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"answers 404": http.NotFound,
		"no pprof": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("heap profile: 1: 1 [1: 1] @ heap/1\n"))
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, mostAnswer+1)) },
		"another prof": func(w http.ResponseWriter, r *http.Request) {
			_ = (&profile.Profile{SampleType: []*profile.ValueType{{Type: "x", Unit: "y"}}}).Write(w)
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		s, all := scraper(time.Hour, nil)
		address := netip.MustParseAddrPort(server.Listener.Addr().String())
		outcome, err := s.once(context.Background(), identity.Source{}, address, kinds["alloc"], newDelta(s.memory, "1", kinds["alloc"].cumulative))
		if outcome != "failed" || err == nil || !strings.Contains(err.Error(), strings.Replace(name, "another prof", "another profile", 1)) {
			t.Errorf("%s: %s %v", name, outcome, err)
		}
		if len(all) != 0 {
			t.Errorf("%s: sent", name)
		}
	}
	if len(asked) != 5 || slices.ContainsFunc(asked, func(query string) bool { return query != "" }) {
		t.Errorf("asked for %q", asked)
	}
}
