// A program whose allocations, waits and goroutines are known: it does what its address is asked for.
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

var kept [64][]byte

//go:noinline
func allocated(number, size int) {
	for i := range number {
		kept[i%len(kept)] = make([]byte, size)
	}
}

//go:noinline
func blocked(number int, long time.Duration) {
	for range number {
		done := make(chan struct{})
		time.AfterFunc(long, func() { close(done) })
		<-done
	}
}

//go:noinline
func contended(number int, long time.Duration) {
	var mutex sync.Mutex
	for range number {
		mutex.Lock()
		waiting := make(chan struct{})
		go func() { close(waiting); mutex.Lock(); mutex.Unlock() }()
		<-waiting
		time.Sleep(long)
		mutex.Unlock()
		mutex.Lock() // once the other had it
		mutex.Unlock()
	}
}

//go:noinline
func parked() { select {} }

func main() {
	runtime.MemProfileRate = 1 // every one
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	number := func(r *http.Request) int {
		value, _ := strconv.Atoi(r.FormValue("number"))
		return value
	}
	http.HandleFunc("/allocate", func(_ http.ResponseWriter, r *http.Request) {
		allocated(number(r), 1024)
		runtime.GC() // a profile has what was allocated up to the last collection but one
		runtime.GC()
	})
	http.HandleFunc("/block", func(_ http.ResponseWriter, r *http.Request) { blocked(number(r), time.Millisecond) })
	http.HandleFunc("/contend", func(_ http.ResponseWriter, r *http.Request) { contended(number(r), time.Millisecond) })
	http.HandleFunc("/park", func(_ http.ResponseWriter, r *http.Request) {
		for range number(r) {
			go parked()
		}
	})
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	_ = http.Serve(listener, nil)
}
