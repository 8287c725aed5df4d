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

	mostEvents   = 8 << 20 // bytes of a recording, unpacked; of 15 seconds it has some hundred KB
	mostContexts = 1 << 20
)

// Recording is one upload of the agent for Java.
type Recording struct {
	Events     []byte // compressed or not
	Contexts   []byte // labels of its threads, by Pyroscope's declaration
	Start, End time.Time
	Rate       int64 // samples a second
}

// Profile is what one kind of event comes to.
type Profile struct {
	Name  string
	Pprof []byte
}

// Parse reads a recording in this process.
func Parse(from Recording) ([]Profile, error) {
	events, err := intake.Unpack(from.Events, mostEvents)
	if err != nil {
		return nil, err
	}
	contexts, err := intake.Unpack(from.Contexts, mostContexts)
	if err != nil {
		return nil, err
	}
	labels := new(pprof.LabelsSnapshot)
	if err := labels.UnmarshalVT(contexts); err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	found, err := pprof.ParseJFR(events, &pprof.ParseInput{StartTime: from.Start, EndTime: from.End, SampleRate: from.Rate}, labels)
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be read: %w", err)
	}
	var all []Profile
	for _, one := range found.Profiles {
		text, err := one.Profile.MarshalVT()
		if err != nil {
			return nil, err
		}
		all = append(all, Profile{one.Metric, text})
	}
	return all, nil
}
