// Hot burns CPU in one function and pushes it as the Go SDK does.
package main

import (
	"log"
	"os"
	"strconv"
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
		Logger:          pyroscope.StandardLogger,
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Print(hot(time.Now().Add(time.Duration(seconds) * time.Second)))
	profiler.Flush(true)
	if err := profiler.Stop(); err != nil {
		log.Fatal(err)
	}
}
