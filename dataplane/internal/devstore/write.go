package devstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"golang.org/x/time/rate"
)

// Labels that have a meaning (`pkg/model/labels.go`).
const (
	nameLabel    = model.MetricNameLabel
	serviceLabel = "service_name"
	deltaLabel   = "__delta__"
	orderLabel   = "__order__"
	sessionLabel = "__session_id__" // of a process; kept only where a limit is set for it, which none of ours does
	spyLabel     = "pyroscope_spy"
	noService    = "unknown_service"
	spanLabel    = "span_id" // of a sample; so is trace_id
	oldSpanLabel = "profile_id"
	traceLabel   = "trace_id"
)

// write checks profiles and puts them on disk; when it returns nil, they are synced. What is wrong with some does not
// keep the others out.
func (s *Store) write(ctx context.Context, format string, good []pushed, bad []error) error {
	tenant := tenantOf(ctx)
	limits := s.limits.of(tenant)
	var records []record
	for i, one := range good {
		s.metrics.received.WithLabelValues(format).Inc()
		ready, reason, err := s.prepare(tenant, limits, one)
		if err != nil {
			s.metrics.discarded.WithLabelValues(reason).Inc()
			code := connect.CodeOf(err)
			if found := new(connect.Error); errors.As(err, &found) {
				err = errors.New(found.Message())
			}
			bad = append(bad, connect.NewError(code, fmt.Errorf("push series with index %d failed: %w", i, err)))
			continue
		}
		records = append(records, ready...)
	}
	if len(records) > 0 {
		start := time.Now()
		if err := s.commit(tenant, records); err != nil {
			return connect.NewError(connect.CodeUnavailable, fmt.Errorf("the profile could not be stored: %w", err))
		}
		s.metrics.commits.Observe(time.Since(start).Seconds())
		s.metrics.stored.Add(float64(len(records)))
	}
	return together(bad)
}

// together is one error of several, with the code of the first.
func together(bad []error) error {
	if len(bad) < 2 {
		return errors.Join(bad...)
	}
	texts := make([]string, len(bad))
	for i, err := range bad {
		texts[i] = err.Error()
		if found := new(connect.Error); errors.As(err, &found) {
			texts[i] = found.Message()
		}
	}
	return connect.NewError(connect.CodeOf(bad[0]), fmt.Errorf("%d errors: %s", len(bad), strings.Join(texts, "; ")))
}

// prepare makes of a profile what is stored: one record per set of labels, of the profile and of its samples together.
func (s *Store) prepare(tenant string, limits *Limits, one pushed) (_ []record, reason string, err error) {
	set, err := labelsOf(one)
	if err != nil {
		return nil, "labels", err
	}
	now := s.options.Now()
	if !s.rates.allow(tenant, limits, now, one.size) {
		return nil, "rate", connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("push rate limit (%v MB/s) exceeded while adding %d bytes", limits.IngestionRateMB, one.size))
	}
	if one.profile.TimeNanos <= 0 {
		one.profile.TimeNanos = now.UnixNano()
	} else if err := timely(limits, now, time.Unix(0, one.profile.TimeNanos), set); err != nil {
		return nil, "time", err
	}
	if most := limits.MaxProfileSizeBytes; most > 0 && one.size > most { // made of a smaller recording or of OTLP
		return nil, "malformed", tooLarge(most)
	}
	if err := check(limits, one.profile); err != nil {
		return nil, "malformed", err
	}
	tidy(one.profile)
	records, err := split(limits, set, one.profile)
	if err != nil {
		return nil, "labels", err
	}
	return records, "", nil
}

func labelsOf(one pushed) (labels.Labels, error) {
	given := make(map[string]string, len(one.labels)+1)
	for _, pair := range one.labels {
		if _, twice := given[pair.GetName()]; twice {
			return labels.EmptyLabels(), invalid("the profile has the label %q twice", pair.GetName())
		}
		given[pair.GetName()] = pair.GetValue()
	}
	if given[serviceLabel] == "" {
		given[serviceLabel] = noService
	}
	return labels.FromMap(given), nil
}

// timely holds a profile to the time that its tenant writes in.
func timely(limits *Limits, now, at time.Time, set labels.Labels) error {
	older, newer := time.Duration(limits.RejectOlderThan), time.Duration(limits.RejectNewerThan)
	if older != 0 && !at.After(now.Add(-older)) || newer != 0 && !at.Before(now.Add(newer)) {
		return invalid("profile with labels '%s' is outside of ingestion window (profile timestamp: %s; reject_older_than %s, reject_newer_than %s)",
			set, at.UTC().Format(time.RFC3339), limits.RejectOlderThan, limits.RejectNewerThan)
	}
	return nil
}

// check is what Pyroscope asks of a profile beyond its being one (`pkg/validation/validate.go`).
func check(limits *Limits, one *profile.Profile) error {
	if len(one.SampleType) == 0 {
		return invalid("empty profile")
	}
	if most := limits.MaxProfileSamples; most > 0 && len(one.Sample) > most {
		return invalid("the profile has %d samples (max_profile_stacktrace_samples: %d)", len(one.Sample), most)
	}
	texts := []string{}
	for _, kind := range append(one.SampleType[:len(one.SampleType):len(one.SampleType)], periodType(one)) {
		if strings.Contains(kind.Type, "-") {
			return invalid("sample type contains -: %q", kind.Type)
		}
		texts = append(texts, kind.Type, kind.Unit)
	}
	for _, sample := range one.Sample {
		if most := limits.MaxProfileSampleLabels; most > 0 && len(sample.Label)+len(sample.NumLabel) > most {
			return invalid("a sample has more than %d labels (max_profile_stacktrace_sample_labels)", most)
		}
		if most := limits.MaxProfileDepth; most > 0 && len(sample.Location) > most {
			sample.Location = sample.Location[len(sample.Location)-most:] // the leaf is first, and goes
		}
		for name, values := range sample.Label {
			texts = append(append(texts, name), values...)
		}
	}
	symbols := []*string{}
	for _, function := range one.Function {
		symbols = append(symbols, &function.Name, &function.SystemName, &function.Filename)
	}
	for _, mapping := range one.Mapping {
		symbols = append(symbols, &mapping.File, &mapping.BuildID)
	}
	for _, symbol := range symbols {
		if most := limits.MaxSymbolLength; most > 0 && len(*symbol) > most {
			*symbol = (*symbol)[len(*symbol)-most:] // the end says more; within a letter it is no UTF-8, in Pyroscope too
		}
		texts = append(texts, *symbol)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return invalid("the profile has a string that is no UTF-8: %q", text[:min(len(text), 40)])
		}
	}
	return nil
}

func periodType(one *profile.Profile) *profile.ValueType {
	if one.PeriodType == nil {
		return &profile.ValueType{}
	}
	return one.PeriodType
}

// rates hold each tenant to its own bytes per second.
type rates struct {
	mutex   sync.Mutex
	tenants map[string]*rate.Limiter
}

func (r *rates) allow(tenant string, limits *Limits, now time.Time, size int) bool {
	if limits.IngestionRateMB == 0 {
		return true
	}
	each, burst := rate.Limit(limits.IngestionRateMB*(1<<20)), int(limits.IngestionBurstSizeMB*(1<<20))
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.tenants == nil {
		r.tenants = map[string]*rate.Limiter{}
	}
	one := r.tenants[tenant]
	if one == nil || one.Limit() != each || one.Burst() != burst { // new, or the limits changed
		one = rate.NewLimiter(each, burst)
		r.tenants[tenant] = one
	}
	return one.AllowN(now, size)
}
