// Package jfr makes pprof profiles of recordings of the JVM, in a process apart: the parser takes lengths from the
// recording and reserves what they say, which may be all memory that there is.
package jfr

import (
	"fmt"
	"time"

	"github.com/grafana/jfr-parser/pprof"

	"flameplane.dev/dataplane/internal/intake"
)

const (
	// DefaultRate is what a client samples a second that does not say it.
	DefaultRate = 100
	// CPU is the name of the profile that has CPU time, and nothing else.
	CPU = "process_cpu"

	mostEvents   = 8 << 20 // bytes of a recording, unpacked; of 15 seconds it has some hundred KB
	mostContexts = 1 << 20
)

// Recording is one upload of the agent for Java.
type Recording struct {
	Events     []byte // compressed or not
	Contexts   []byte // labels of its threads, by Pyroscope's declaration
	Start, End time.Time
	Rate       int64 // samples a second
	WithoutCPU bool  // its CPU time is not wanted
}

// Profile is what one kind of event comes to.
type Profile struct {
	Name  string
	Pprof []byte // compressed; nil where it is not wanted
}

// Parse reads a recording in this process, and calls “with“ with one profile after the other.
func Parse(from Recording, with func(Profile) error) error {
	events, err := intake.Unpack(from.Events, mostEvents)
	if err != nil {
		return err
	}
	contexts, err := intake.Unpack(from.Contexts, mostContexts)
	if err != nil {
		return err
	}
	labels := new(pprof.LabelsSnapshot)
	if err := labels.UnmarshalVT(contexts); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	found, err := pprof.ParseJFR(events, &pprof.ParseInput{StartTime: from.Start, EndTime: from.End, SampleRate: from.Rate}, labels)
	if err != nil {
		return fmt.Errorf("the recording cannot be read: %w", err)
	}
	for i := range found.Profiles {
		one := Profile{Name: found.Profiles[i].Metric}
		if !from.WithoutCPU || one.Name != CPU {
			text, err := found.Profiles[i].Profile.MarshalVT()
			if err != nil {
				return err
			}
			one.Pprof = intake.Pack(text)
		}
		found.Profiles[i] = pprof.Profile{} // all of them together, decoded and encoded, would be most of what it takes
		if err := with(one); err != nil {
			return err
		}
	}
	return nil
}
