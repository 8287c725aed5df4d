package door

import (
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
)

// teamLabel names the team whose tenant a profile belongs to. The node agent takes it from the declaration of the
// service that runs in the pod; no application can set it.
const teamLabel = "team"

// pushed reads a request of push.v1: every series of it belongs to one team.
func pushed(m *pushv1.PushRequest) (*Call, error) {
	if len(m.Series) == 0 {
		return nil, invalid("there is no series to push")
	}
	call := &Call{Kind: Push}
	for i, series := range m.Series {
		labels := map[string]string{}
		for _, pair := range series.Labels {
			if _, twice := labels[pair.GetName()]; twice {
				return nil, invalid("series %d has the label %s twice", i, cut(pair.GetName(), 40))
			}
			labels[pair.GetName()] = pair.GetValue()
		}
		if err := call.written(labels); err != nil {
			return nil, err
		}
		series.Annotations = nil // the distributor's own
	}
	return call, nil
}

// written adds a series to what a call writes.
func (c *Call) written(labels map[string]string) error {
	team, service := labels[teamLabel], labels[serviceLabel]
	switch {
	case team == "":
		return invalid("a series has no label %s: nobody knows whose it is", teamLabel)
	case c.Team != "" && c.Team != team:
		return invalid("the series are of teams %s and %s; send one request for each", cut(c.Team, 40), cut(team, 40))
	case service == "":
		return invalid("a series has no label %s", serviceLabel)
	}
	c.Team = team
	selector, err := parseSelector("{" + serviceLabel + "=" + quoted(service) + "}")
	if err != nil {
		return err
	}
	c.Selectors = append(c.Selectors, selector)
	return nil
}
