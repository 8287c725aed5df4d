package devstore

import (
	"errors"
	"fmt"

	"github.com/google/pprof/profile"
	"github.com/grafana/jfr-parser/pprof"
	"github.com/grafana/jfr-parser/pprof/pyroscope"
)

// fromJFR reads a recording of the JVM with Pyroscope's own parser: one profile for each kind of event.
func fromJFR(asked *asks, recording, context []byte, inForm bool, most int) ([]pushed, error) {
	if len(recording) == 0 {
		return nil, errors.New("jfr field is required")
	}
	if inForm { // alone it is not compressed
		var err error
		if recording, err = inflate(recording, most); err != nil {
			return nil, err
		}
	}
	snapshot := new(pprof.LabelsSnapshot)
	if len(context) > 0 {
		var err error
		if context, err = inflate(context, most); err != nil {
			return nil, err
		}
		if err := snapshot.UnmarshalVT(context); err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
	}
	found, err := pprof.ParseJFR(recording, &pprof.ParseInput{StartTime: asked.start, EndTime: asked.end, SampleRate: asked.rate}, snapshot)
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be read: %w", err)
	}
	var all []pushed
	for _, one := range found.Profiles {
		text, err := one.Profile.MarshalVT()
		if err != nil {
			return nil, err
		}
		read, err := profile.ParseUncompressed(text)
		if err != nil {
			return nil, err
		}
		labels := pyroscope.Labels(asked.labels, found.JFREvent, one.Metric, asked.service, asked.spy)
		all = append(all, pushed{labels, read, len(text)})
	}
	return all, nil
}
