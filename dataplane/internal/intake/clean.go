package intake

import (
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

const (
	latest  = time.Minute      // what a clock may be ahead
	longAgo = 10 * time.Minute // and behind: the backend takes nothing that is older than an hour
)

// kept are the labels of samples that stay: those that tie a sample to a request (`pkg/model/pprofsplit`). Each other
// becomes a label of the series, by which a program could name another version, pod or team as its own.
var kept = []string{"span_id", "trace_id", "profile_id"}

// Clean takes away what a program says of itself, and of its time what cannot be.
func Clean(p *profile.Profile, now time.Time) {
	for _, sample := range p.Sample {
		for name := range sample.Label {
			if !slices.Contains(kept, name) {
				delete(sample.Label, name)
			}
		}
	}
	p.Comments, p.DocURL = nil, ""
	if start := time.Unix(0, p.TimeNanos); start.Before(now.Add(-longAgo)) || start.After(now.Add(latest)) {
		p.TimeNanos = now.Add(-time.Duration(max(p.DurationNanos, 0))).UnixNano()
		if start := time.Unix(0, p.TimeNanos); start.Before(now.Add(-longAgo)) {
			p.TimeNanos, p.DurationNanos = now.UnixNano(), 0
		}
	}
}

// WithoutCPU takes CPU time away, and is whether there was any. Of a profile of nothing else no type is left.
func WithoutCPU(p *profile.Profile) bool {
	var others []int
	for i, kind := range p.SampleType {
		if !isCPU(p, kind) {
			others = append(others, i)
		}
	}
	if len(others) == len(p.SampleType) {
		return false
	}
	types := make([]*profile.ValueType, len(others))
	for i, from := range others {
		types[i] = p.SampleType[from]
	}
	for _, sample := range p.Sample {
		values := make([]int64, len(others))
		for i, from := range others {
			values[i] = sample.Value[from]
		}
		sample.Value = values
	}
	p.SampleType, p.DefaultSampleType = types, ""
	return true
}

// isCPU is whether a type is CPU time, or the number of samples of it. With wall clock time the samples are of that.
func isCPU(p *profile.Profile, kind *profile.ValueType) bool {
	return kind.Type == "cpu" || kind.Type == "samples" && p.PeriodType != nil && p.PeriodType.Type == "cpu"
}
