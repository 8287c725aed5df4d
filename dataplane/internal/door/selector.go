package door

import (
	"context"
	"strings"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"google.golang.org/protobuf/proto"
)

// serviceLabel names the service of a series.
const serviceLabel = "service_name"

// Selector is a parsed label selector. Pyroscope parses it by the same library.
type Selector struct{ matchers []*labels.Matcher }

var selectors = parser.NewParser(parser.Options{})

const (
	mostPattern   = 4 << 10  // bytes of the selectors of one call that hold a pattern
	patternWeight = 16 << 10 // what a byte of a pattern may become: `a{1000}` some 5,000, `\pL` 4,400
	repeatCost    = 20 << 20 // and what one that repeats may come to, however short: 990 times a class of many ranges
)

// patterns refuses selectors whose patterns would take much to compile, which parsing them does: 200 bytes on the wire
// can be a gigabyte of it.
func (v *visit) patterns(ctx context.Context, texts ...string) error {
	bytes, repeats := 0, 0
	for _, text := range texts {
		count := strings.Count(text, "~")
		if count == 0 {
			continue
		}
		bytes += len(text)
		// `{990}` repeats, and with a backslash the brace can be written in other ways.
		if strings.Count(text, "{") > 1 || strings.Contains(text, `\`) {
			repeats += count
		}
	}
	switch {
	case bytes == 0:
		return nil
	case bytes > mostPattern:
		return invalid("selectors with patterns (=~, !~) are %d bytes long together; at most %d", bytes, mostPattern)
	}
	cost := int64(bytes)*patternWeight + int64(repeats)*repeatCost
	if err := v.holding.take(ctx, cost, true); err != nil {
		return err
	}
	v.compiling += cost
	return nil
}

// selectorsOf are those of a question, as they came.
func selectorsOf(message proto.Message) []string {
	switch m := message.(type) {
	case *querierv1.DiffRequest:
		return []string{m.GetLeft().GetLabelSelector(), m.GetRight().GetLabelSelector()}
	case interface{ GetLabelSelector() string }:
		return []string{m.GetLabelSelector()}
	case interface{ GetMatchers() []string }:
		return m.GetMatchers()
	}
	return nil
}

func parseSelector(text string) (*Selector, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed == "{}" {
		return &Selector{}, nil
	}
	if !strings.HasPrefix(trimmed, "{") {
		return nil, invalid("a label selector begins with a brace: {service_name=\"checkout\"}")
	}
	matchers, err := selectors.ParseMetricSelector(trimmed)
	if err != nil {
		return nil, invalid("the label selector cannot be read: %v", err)
	}
	return &Selector{matchers}, nil
}

// String writes the selector anew.
func (s *Selector) String() string {
	texts := make([]string, len(s.matchers))
	for i, matcher := range s.matchers {
		texts[i] = matcher.String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// Service is the one service that can match, empty where there may be others.
func (s *Selector) Service() string {
	for _, matcher := range s.matchers {
		if matcher.Name == serviceLabel && matcher.Type == labels.MatchEqual {
			return matcher.Value
		}
	}
	return ""
}
