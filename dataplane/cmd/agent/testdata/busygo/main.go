// Burns CPU time in two functions, in turn, and says how much in each: what a profile of it has to show.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const thread = 1 // RUSAGE_THREAD

var sum uint64

//go:noinline
func heavy(n int) {
	for i := range n {
		sum += uint64(i) * uint64(i)
	}
}

//go:noinline
func light(n int) {
	for i := range n {
		sum ^= uint64(i) << (i % 7)
	}
}

func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(thread, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

//go:noinline
func burn(work func(int), long time.Duration) time.Duration {
	start := used()
	for {
		work(1 << 20)
		if spent := used() - start; spent >= long {
			return spent
		}
	}
}

func main() {
	runtime.LockOSThread()
	seconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	var inHeavy, inLight time.Duration
	for inHeavy+inLight < time.Duration(seconds)*time.Second {
		inHeavy += burn(heavy, 70*time.Millisecond)
		inLight += burn(light, 30*time.Millisecond)
	}
	fmt.Printf("{\"heavy\": %d, \"light\": %d}\n", inHeavy, inLight)
}
