package scrape

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/identity"
)

const stackBytes = 8 + 2*8 // of a stack of a profile of locks

// locks is a profile of locks, each stack of which was waited for so often.
func locks(stacks, times int) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "contentions", Unit: "count"}, {Type: "delay", Unit: "nanoseconds"}}}
	for i := range uint64(stacks) {
		at := &profile.Location{ID: i + 1, Address: i + 1}
		p.Location = append(p.Location, at)
		p.Sample = append(p.Sample, &profile.Sample{Value: []int64{int64(times), int64(1000 * times)}, Location: []*profile.Location{at}})
	}
	return p
}

func lockDelta(memory *memory, pod string) *delta {
	return newDelta(memory, pod, kinds["mutex"].cumulative)
}

// sums are those of the columns.
func sums(p *profile.Profile) (contentions, delay int64) {
	for _, sample := range p.Sample {
		contentions, delay = contentions+sample.Value[0], delay+sample.Value[1]
	}
	return contentions, delay
}

// However many pods are large, what is remembered of all stays within its bounds, a small pod gets every difference, and
// of the others nothing is sent but what came between two scrapes.
func TestASmallPodIsRememberedBesideLargeOnes(t *testing.T) {
	const large, stacks, small, rounds = 20, 1000, 50, 6
	memory := newMemory(4 * stacks * stackBytes)
	all := map[*delta]int{lockDelta(memory, "small"): small}
	for i := range large {
		all[lockDelta(memory, fmt.Sprint("large", i/2))] = stacks // each pod has two
	}
	outcomes := map[string]int{}
	for round := range rounds {
		for each, stacks := range all { // in no order
			p := locks(stacks, 7+3*round)
			outcome, err := each.since(p, time.Now())
			if err != nil || memory.bytes() > memory.limit || (outcome == "first") != (round == 0) {
				t.Fatalf("round %d: %s %v, %d bytes", round, outcome, err, memory.bytes())
			}
			if contentions, delay := sums(p); outcome == "sent" && (contentions != int64(3*stacks) || delay != int64(3000*stacks)) {
				t.Errorf("round %d: %d and %d of %d stacks", round, contentions, delay, stacks)
			}
			if each.pod == "small" && round > 0 && outcome != "sent" {
				t.Errorf("round %d: the small pod's is %s", round, outcome)
			}
			outcomes[outcome]++
		}
	}
	if fit := 3; outcomes["sent"] != (rounds-1)*(1+fit) { // beside the small one
		t.Errorf("%v", outcomes)
	}
}

// Of equals that do not all fit the same ones are remembered each time.
func TestEqualsDoNotTakeTurns(t *testing.T) {
	memory := newMemory(3 * 100 * stackBytes / 2)
	first, second := lockDelta(memory, "a"), lockDelta(memory, "b")
	for round := range 4 {
		want := map[*delta]string{first: "sent", second: "forgotten"}
		if round == 0 {
			want = map[*delta]string{first: "first", second: "first"}
		}
		for _, each := range []*delta{first, second} {
			if outcome, err := each.since(locks(100, round+1), time.Now()); outcome != want[each] || err != nil {
				t.Errorf("%s in round %d: %s %v", each.pod, round, outcome, err)
			}
		}
	}
	memory.take(first) // its pod ends
	for _, want := range []string{"forgotten", "sent"} {
		if outcome, err := second.since(locks(100, 9), time.Now()); outcome != want || err != nil {
			t.Errorf("alone: %s %v", outcome, err)
		}
	}
}

// No pod that has no more than an equal share is forgotten, whatever others take.
func TestAShareIsNobodyElses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	stacks := func(number int) *totals {
		return &totals{keys: make([]uint64, number), values: make([]int64, 2*number)}
	}
	for range 100 {
		pods := 2 + random.IntN(20)
		share := 2 + random.IntN(100)
		memory := newMemory(pods * share * stackBytes)
		var modest []*delta
		for i := range pods {
			some := []*delta{lockDelta(memory, fmt.Sprint(i)), lockDelta(memory, fmt.Sprint(i)), lockDelta(memory, fmt.Sprint(i))}
			if i%2 == 0 {
				memory.keep(some[0], stacks(share))
				modest = append(modest, some[0])
				continue
			}
			for range 20 {
				for _, each := range some { // each smaller than a share, or larger than all
					memory.keep(each, stacks([]int{random.IntN(share), random.IntN(2 * pods * share)}[random.IntN(2)]))
				}
			}
		}
		for _, each := range modest {
			if memory.kept[each] == nil || memory.bytes() > memory.limit {
				t.Fatalf("%d pods, %d stacks each: %d bytes of %d", pods, share, memory.bytes(), memory.limit)
			}
		}
	}
}

// A pod's loops give back what they had when it ends, and say once what is not sent.
func TestAPodThatEndsGivesItsShareBack(t *testing.T) {
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	var mutex sync.Mutex
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		asked++
		stacks := 100
		if strings.HasSuffix(r.URL.Path, "/block") {
			stacks = 200
		}
		_ = locks(stacks, asked).Write(w)
	}))
	t.Cleanup(server.Close)
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	sources := []identity.Source{{
		Whose: identity.Whose{Labels: map[string]string{"pod": "cart-0"}}, UID: "1", Address: address.Addr(),
		Service: identity.Service{Name: "cart", Language: "go", PprofPort: int(address.Port()), Types: []string{"block", "mutex"}},
	}}
	s, all := scraper(5*time.Millisecond, func() []identity.Source { return sources })
	s.memory.limit = 150 * stackBytes
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.Look(ctx)
	for outcomes := s.metrics.scrapes; testutil.ToFloat64(outcomes.WithLabelValues("cart", "block", "forgotten")) < 3; {
		if one := <-all; one.name != "mutex" {
			t.Fatalf("%s is sent", one.name)
		}
	}
	if bytes := s.memory.bytes(); bytes > s.memory.limit {
		t.Errorf("%d bytes", bytes)
	}
	sources = nil
	s.Look(ctx)
	s.Wait()
	if bytes := s.memory.bytes(); bytes != 0 {
		t.Errorf("%d bytes are remembered of a pod that is gone", bytes)
	}
	if number := strings.Count(said.String(), "was forgotten"); number != 1 || !strings.Contains(said.String(), "type=block") {
		t.Errorf("told %d times: %s", number, said.String())
	}
}
