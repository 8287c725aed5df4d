// Hot burns CPU in one function and pushes it as the Go SDK does.
package main

import (
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/grafana/pyroscope-go"
)

//go:noinline
func hot(end time.Time) (count int) {
	for time.Now().Before(end) {
		for step := range 10_000_000 {
			count ^= step
		}
	}
	return count
}

var kept []byte

// waits gives the profiles of locks, waiting and memory something to show.
func waits() {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	var mutex sync.Mutex
	for range 2 {
		go func() {
			for {
				mutex.Lock()
				kept = make([]byte, 1<<20)
				time.Sleep(10 * time.Millisecond)
				mutex.Unlock()
			}
		}()
	}
}

func main() {
	seconds, err := strconv.Atoi(os.Getenv("SECONDS_LONG"))
	if err != nil {
		log.Fatal(err)
	}
	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: os.Getenv("SERVICE"),
		ServerAddress:   os.Getenv("GATEWAY"),
		HTTPHeaders:     map[string]string{"Authorization": "Bearer " + os.Getenv("TOKEN")},
		Tags:            map[string]string{"team": os.Getenv("TEAM")},
		UploadRate:      2 * time.Second,
		ProfileTypes: append(pyroscope.DefaultProfileTypes, pyroscope.ProfileGoroutines, pyroscope.ProfileMutexCount,
			pyroscope.ProfileMutexDuration, pyroscope.ProfileBlockCount, pyroscope.ProfileBlockDuration),
		Logger:          pyroscope.StandardLogger,
	})
	if err != nil {
		log.Fatal(err)
	}
	waits()
	log.Print(hot(time.Now().Add(time.Duration(seconds) * time.Second)))
	profiler.Flush(true)
	if err := profiler.Stop(); err != nil {
		log.Fatal(err)
	}
}
