package devstore

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	bolt "go.etcd.io/bbolt"
)

const profileTypeLabel = "__profile_type__"

var selectors = parser.NewParser(parser.Options{})

// selection is what a query is about, as it was asked for and as the tenant may have it.
type selection struct {
	tenant   string
	matchers []*labels.Matcher
	from, to int64 // nanoseconds, both included
	empty    bool  // the window is further back than the tenant may look
	ids      map[uuid.UUID]bool
	spans    map[string]bool // hexadecimal, in small letters
	traces   map[string]bool
	callSite []string // functions that a stack begins with, from the root
}

// windowed begins a selection with the time that is asked for, in milliseconds (`pkg/validation/validate.go`).
func (s *Store) windowed(ctx context.Context, start, end int64) (*selection, error) {
	limits, one := s.limits.of(tenantOf(ctx)), &selection{tenant: tenantOf(ctx)}
	if start == 0 || end == 0 {
		return nil, invalid("missing time range in the query")
	}
	if start > end {
		return nil, invalid("query start time is after end time")
	}
	if most := int64(math.MaxInt64 / 1_000_000); end > most || start < -most {
		return nil, invalid("the query time range is beyond what can be counted in nanoseconds (milliseconds, at most %d)", most)
	}
	if lookback := time.Duration(limits.MaxQueryLookback); lookback > 0 {
		first := s.options.Now().Add(-lookback).UnixMilli()
		one.empty = end < first
		start = max(start, min(first, end))
	}
	length := time.Duration(end-start) * time.Millisecond
	if most := time.Duration(limits.MaxQueryLength); most > 0 && !one.empty && length > most {
		return nil, invalid("the query time range exceeds the limit (max_query_length, actual: %s, limit: %s)", length, limits.MaxQueryLength)
	}
	one.from, one.to = start*1e6, end*1e6
	return one, nil
}

// matching adds selectors, all of which have to match.
func (one *selection) matching(texts ...string) error {
	for _, text := range texts {
		if text == "" {
			return invalid("parsing label selector %q: it is empty; {} selects everything", text)
		}
		found, err := selectors.ParseMetricSelector(text)
		if err != nil {
			return invalid("parsing label selector %q: %v", text, err)
		}
		one.matchers = append(one.matchers, found...)
	}
	return nil
}

// typed adds the profile type, which stacks and totals are always of one.
func (one *selection) typed(id string) (*typesv1.ProfileType, error) {
	kind, err := profileType(id)
	if err != nil {
		return nil, invalid("%v", err)
	}
	name := strings.Join([]string{kind.Name, kind.SampleType, kind.SampleUnit, kind.PeriodType, kind.PeriodUnit}, ":")
	one.matchers = append(one.matchers, labels.MustNewMatcher(labels.MatchEqual, profileTypeLabel, name))
	return kind, nil
}

func profileType(id string) (*typesv1.ProfileType, error) {
	parts := strings.Split(id, ":")
	if len(parts) != 5 && len(parts) != 6 {
		return nil, fmt.Errorf("profile-type selection must be of the form <name>:<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got(%d): %q", len(parts), id)
	}
	return &typesv1.ProfileType{
		ID: id, Name: parts[0], SampleType: parts[1], SampleUnit: parts[2], PeriodType: parts[3], PeriodUnit: parts[4],
	}, nil
}

// only narrows a selection to single profiles, or to samples of spans or of traces.
func (one *selection) only(profiles, spans, traces []string) error {
	if len(spans) > 0 && len(traces) > 0 {
		return invalid("span_selector and trace_id_selector cannot be combined")
	}
	for _, text := range profiles {
		id, err := uuid.Parse(text)
		if err != nil {
			return unknown("profile_id_selector: %v", err)
		}
		if one.ids == nil {
			one.ids = map[uuid.UUID]bool{}
		}
		one.ids[id] = true
	}
	var err error
	if one.spans, err = hexes(spans, 16, "span"); err == nil {
		one.traces, err = hexes(traces, 32, "trace")
	}
	return err
}

func hexes(texts []string, length int, what string) (map[string]bool, error) {
	var found map[string]bool
	for _, text := range texts {
		if len(text) != length {
			return nil, unknown("invalid %s id length: %q", what, text)
		}
		if _, err := hex.DecodeString(text); err != nil {
			return nil, unknown("invalid %s id %q: %v", what, text, err)
		}
		if found == nil {
			found = map[string]bool{}
		}
		found[strings.ToLower(text)] = true
	}
	return found, nil
}

// matched is one series that has profiles in the window.
type matched struct {
	id     seriesID
	labels labels.Labels
}

// series finds those that match and have a profile within the window.
func (one *selection) series(tx *bolt.Tx) ([]matched, error) {
	series, index, _ := open(tx, one.tenant)
	if series == nil || one.empty {
		return nil, nil
	}
	var found []matched
	err := series.ForEach(func(key, value []byte) error {
		set, err := unpackLabels(value)
		if err != nil {
			return err
		}
		for _, matcher := range one.matchers {
			if !matcher.Matches(set.Get(matcher.Name)) {
				return nil
			}
		}
		return within(index, key, one.from, one.to, func(_, _ []byte) (bool, error) {
			found = append(found, matched{seriesID(key), set})
			return false, nil
		})
	})
	return found, err
}

// stored is where a profile is, and which column of its values is meant.
type stored struct {
	at     place
	number int
}

// places finds every profile of a selection, in the order of time.
func (s *Store) places(one *selection) (found []stored, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		series, err := one.series(tx)
		if err != nil {
			return err
		}
		_, index, _ := open(tx, one.tenant)
		for _, each := range series {
			err := within(index, each.id[:], one.from, one.to, func(key, value []byte) (bool, error) {
				number, _, err := unpackIndex(value)
				found = append(found, stored{place(key[len(each.id):]), number})
				return true, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b stored) int { return slices.Compare(a.at[:], b.at[:]) })
	return found, err
}
