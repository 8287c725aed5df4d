package door

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// serviceLabel names the service of a series.
const serviceLabel = "service_name"

// Selector is a parsed label selector. Pyroscope parses it by the same library.
type Selector struct{ matchers []*labels.Matcher }

var selectors = parser.NewParser(parser.Options{})

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
