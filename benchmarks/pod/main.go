// Pod is one pod of a Go service, for benchmarks/stored.py: it is busy, profiles itself as a service does (CPU at 99 Hz,
// and heap), and pushes many windows of 15 seconds that are drawn from what it captured, with times of their own.
//
// The last line of its output is JSON: how much it pushed, and the CPU time in it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

const window = 15 * time.Second // of one push, as the agents do by default

// result is what was pushed. Bytes are those of one push on average.
type result struct {
	Windows   int     `json:"windows"`
	Captured  int     `json:"captured"`  // CPU samples that the windows are drawn from
	Stacks    float64 `json:"stacks"`    // distinct ones in a CPU profile
	CPURaw    float64 `json:"cpuRaw"`    // unpacked
	CPUWire   float64 `json:"cpuWire"`   // as pushed
	HeapRaw   float64 `json:"heapRaw"`   // four types
	HeapWire  float64 `json:"heapWire"`  // likewise
	CPU       int64   `json:"cpu"`       // nanoseconds, of all windows
	Functions int     `json:"functions"` // of both
}

func main() {
	url := flag.String("url", "", "address of Pyroscope")
	tenant := flag.String("tenant", "pod", "tenant to push to")
	windows := flag.Int("windows", 720, "windows of 15 s to push")
	seconds := flag.Duration("capture", time.Minute, "how long the service runs to be captured")
	at := flag.Int("concurrency", 16, "pushes at once")
	flag.Parse()
	if *url == "" || *windows < 1 || *at < 1 {
		flag.Usage()
		os.Exit(2)
	}
	cpu, heaps, err := capture(*seconds)
	if err != nil {
		log.Fatal(err)
	}
	found, err := pushAll(*url, *tenant, *windows, *at, newDrawn(cpu), heaps)
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(found)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

// pushAll pushes the windows, the oldest first; the last one ends now.
func pushAll(url, tenant string, windows, at int, cpu *drawn, heaps []*profile.Profile) (*result, error) {
	found := &result{Windows: windows, Captured: len(cpu.samples), Functions: len(cpu.of.Function)}
	start := time.Now().Add(-time.Duration(windows) * window)
	random := rand.New(rand.NewPCG(1, 2))
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	places := make(chan struct{}, at)
	var running sync.WaitGroup
	send := func(name string, one *profile.Profile) (raw, wire int) {
		text, raw := packed(one)
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if err := push(ctx, url, tenant, name, text); err != nil {
				stop(err)
			}
		})
		return raw, len(text)
	}
	for i := range windows {
		ends := start.Add(time.Duration(i+1) * window)
		one, total := cpu.window(random, ends)
		raw, wire := send("process_cpu", one)
		found.CPU += total
		found.Stacks += float64(len(one.Sample)) / float64(windows)
		found.CPURaw += float64(raw) / float64(windows)
		found.CPUWire += float64(wire) / float64(windows)
		raw, wire = send("memory", heapWindow(random, heaps, ends))
		found.HeapRaw += float64(raw) / float64(windows)
		found.HeapWire += float64(wire) / float64(windows)
		if ctx.Err() != nil {
			break
		}
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("a push failed: %w", context.Cause(ctx))
	}
	return found, nil
}
