// Burns CPU time in two functions, in turn, one of Go and one of C, and says how much in each. C's linker makes it.
package main

/*
static volatile unsigned long sum;

__attribute__((noinline)) void light(long n)
{
	for (long i = 0; i < n; i++)
		sum ^= (unsigned long)i << (i % 7);
}
*/
import "C"

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
	inC := func(n int) { C.light(C.long(n)) }
	var inHeavy, inLight time.Duration
	for inHeavy+inLight < time.Duration(seconds)*time.Second {
		inHeavy += burn(heavy, 70*time.Millisecond)
		inLight += burn(inC, 30*time.Millisecond)
	}
	fmt.Printf("{\"heavy\": %d, \"light\": %d}\n", inHeavy, inLight)
}
