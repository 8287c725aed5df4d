package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

const rounds = 4 // that each program is scraped

// stacks are how many a program's profiles have. In each round each of them has been counted once more.
type stacks map[string]int

var (
	usual = stacks{"allocs": 2_000, "mutex": 500, "block": 500}
	// Of stacks that are 15 frames deep no more are decoded, or remembered.
	largest = stacks{"allocs": 25_000, "mutex": 50_000, "block": 50_000}
)

// BenchmarkScrapedMemory is what the receiver takes of memory for Go programs that declare all that is cumulative, while
// the gateway takes nothing. Figures are in docs/receiver.md.
func BenchmarkScrapedMemory(b *testing.B) {
	for _, one := range []struct {
		name     string
		programs int
		each     stacks
	}{{"30 usual", 30, usual}, {"1 largest", 1, largest}, {"30 largest", 30, largest}} {
		b.Run(one.name, func(b *testing.B) {
			answering := &programs{answers: map[string][]byte{}, asked: map[string]int{}}
			for path, number := range one.each {
				for round := range rounds {
					answering.answers[fmt.Sprint(path, round)] = cumulative(b, path, number, round+1)
				}
			}
			for b.Loop() {
				answering.scraped(b, one.programs)
			}
		})
	}
}

// programs answer each scrape with what its round has.
type programs struct {
	answers map[string][]byte
	mutex   sync.Mutex
	asked   map[string]int // times, by address and path
}

func (p *programs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/debug/pprof/")
	p.mutex.Lock()
	round := p.asked[r.Host+path]
	p.asked[r.Host+path]++
	p.mutex.Unlock()
	_, _ = w.Write(p.answers[fmt.Sprint(path, min(round, rounds-1))])
}

// done is whether all have been asked once more than there are rounds: the answer before has been read.
func (p *programs) done(number int) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, times := range p.asked {
		if times <= rounds {
			return false
		}
	}
	return len(p.asked) == number
}

func (p *programs) scraped(b *testing.B, number int) {
	listener, err := net.Listen("tcp", "0.0.0.0:0") // all of the loopback network's addresses are this machine's
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	addresses := map[string]string{}
	for i := range number {
		addresses[fmt.Sprintf("cart-%d", i)] = fmt.Sprintf("127.0.1.%d", i+1)
	}
	services := fmt.Sprintf(`{"baseRateHz": 99, "excludedNamespaces": [], "optOutAnnotation": "x/profile", "services": [
		{"service": "cart", "team": "shop", "namespace": "shop", "selector": {"app": "cart"}, "language": "go", "sampleRateHz": 99,
		 "types": ["alloc", "mutex", "block"], "cpuSource": "ebpf", "labels": {"version": "v", "gitRef": "r", "track": "t"},
		 "pprofPort": %d}]}`, listener.Addr().(*net.TCPAddr).Port)
	w := started(b, services, addresses, 15*time.Second)
	w.gateway.set(true)
	heap, anonymous := 0.0, 0.0
	for step := 0; !p.done(3 * number); step++ {
		time.Sleep(10 * time.Millisecond)
		if anonymous = max(anonymous, w.status(`RssAnon:\s+(\d+) kB`)); anonymous == 0 {
			b.Fatalf("the receiver has ended\n%s", w.said)
		}
		if step%50 == 0 {
			heap = max(heap, first(`\ngo_memstats_heap_inuse_bytes (\S+)`, w.get("/metrics"))/(1<<20))
		}
	}
	told := w.get("/metrics")
	b.ReportMetric(heap, "MiB-heap-in-use")
	b.ReportMetric(anonymous, "MiB-anonymous")
	b.ReportMetric(w.status(`VmHWM:\s+(\d+) kB`), "MiB-VmHWM")
	for _, outcome := range []string{"sent", "forgotten", "failed"} {
		sum := 0.0
		for _, kind := range []string{"alloc", "mutex", "block"} {
			sum += first(fmt.Sprintf(`scrapes_total\{outcome="%s",service="cart",type="%s"\} (\S+)`, outcome, kind), told)
		}
		b.ReportMetric(sum, outcome)
	}
}

// status is a figure of the kernel's on the receiver, in MiB.
func (w *world) status(pattern string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.running.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	return first(pattern, string(text)) / 1024
}

// first is the number that a pattern finds first, or 0.
func first(pattern, text string) float64 {
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	value, _ := strconv.ParseFloat(found[1], 64)
	return value
}

// cumulative is a profile of so many stacks, each counted so many times.
func cumulative(b *testing.B, path string, stacks, times int) []byte {
	b.Helper()
	p := &profile.Profile{}
	types := []string{"contentions", "delay"}
	if path == "allocs" {
		types = []string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"}
	}
	for _, name := range types {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: name, Unit: "count"})
	}
	for i := range uint64(300) {
		function := &profile.Function{ID: i + 1, Name: fmt.Sprintf("example.com/service/internal/package%d.(*Type).Method", i)}
		p.Function = append(p.Function, function)
		p.Location = append(p.Location, &profile.Location{ID: i + 1, Line: []profile.Line{{Function: function, Line: int64(i)}}})
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same stacks in each round
	for range stacks {
		sample := &profile.Sample{}
		for range types {
			sample.Value = append(sample.Value, int64(times)*(1+random.Int64N(1000)))
		}
		if path == "allocs" {
			sample.NumLabel = map[string][]int64{"bytes": {16 * random.Int64N(64)}}
		}
		for range 15 {
			sample.Location = append(sample.Location, p.Location[random.IntN(len(p.Location))])
		}
		p.Sample = append(p.Sample, sample)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}
