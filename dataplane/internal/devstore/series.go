package devstore

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/prometheus/prometheus/model/labels"
	bolt "go.etcd.io/bbolt"
)

// line is one series of an answer while it is added up.
type line struct {
	labels []*typesv1.LabelPair
	sums   map[int64]float64 // by time, milliseconds
	total  float64
}

// SelectSeries sums what was stored, step by step: a point holds what came within the step that ends at its time. It
// reads the index alone. As in Pyroscope 2.x, an aggregation other than the sum and a selector of stacks do nothing.
func (q querier) SelectSeries(
	ctx context.Context, request *connect.Request[querierv1.SelectSeriesRequest],
) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	m := request.Msg
	one, err := q.windowed(ctx, m.Start, m.End)
	if err != nil {
		return nil, err
	}
	if _, err := one.typed(m.ProfileTypeID); err != nil {
		return nil, err
	}
	step, err := stepOf(m.Step)
	if err != nil {
		return nil, err
	}
	if m.ExemplarType > typesv1.ExemplarType_EXEMPLAR_TYPE_NONE {
		return nil, notBuilt("exemplars")
	}
	if err := one.matching(m.LabelSelector); err != nil {
		return nil, err
	}
	start, end := one.from/1e6, one.to/1e6
	one.from = max(one.from, math.MinInt64+step*1e6) - step*1e6
	lines := map[string]*line{}
	err = q.db.View(func(tx *bolt.Tx) error {
		series, err := one.series(tx)
		if err != nil {
			return err
		}
		_, index, _ := open(tx, one.tenant)
		for _, each := range series {
			into := lineOf(lines, each.labels, m.GroupBy)
			err := within(index, each.id[:], one.from, one.to, func(key, value []byte) (bool, error) {
				_, total, err := unpackIndex(value)
				at := place(key[len(each.id):]).nanos() / 1e6
				if steps := (at - start + step - 1) / step; at <= start {
					into.add(start, total)
				} else if start+steps*step <= end {
					into.add(start+steps*step, total)
				}
				return true, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, internal(err)
	}
	return connect.NewResponse(&querierv1.SelectSeriesResponse{Series: top(lines, int(m.GetLimit()))}), nil
}

// stepOf is the step in milliseconds. One that cannot be counted is refused: Pyroscope lets it wrap around and answers that
// there is nothing. How short it is does not matter: there is a point only where something was stored.
func stepOf(seconds float64) (int64, error) {
	switch nanos := seconds * float64(time.Second); {
	case seconds < 0.001:
		return 0, invalid("step must be >= 1ms")
	case !(nanos < math.MaxInt64): // NaN is not either
		return 0, invalid("step is %v seconds; it must be a number below %d", seconds, int64(math.MaxInt64/time.Second))
	default:
		return time.Duration(nanos).Milliseconds(), nil
	}
}

func lineOf(lines map[string]*line, set labels.Labels, by []string) *line {
	kept := []*typesv1.LabelPair{}
	key := ""
	for _, name := range by { // in the order that they are asked for
		if value := set.Get(name); value != "" {
			kept = append(kept, &typesv1.LabelPair{Name: name, Value: value})
			key += name + "\xff" + value + "\xff"
		}
	}
	if lines[key] == nil {
		lines[key] = &line{labels: kept, sums: map[int64]float64{}}
	}
	return lines[key]
}

func (l *line) add(at, total int64) {
	l.sums[at] += float64(total)
	l.total += float64(total)
}

// top are the greatest series first, as many as are asked for.
func top(lines map[string]*line, most int) []*typesv1.Series {
	sorted := slices.SortedFunc(maps.Values(lines), func(a, b *line) int {
		if order := cmp.Compare(b.total, a.total); order != 0 {
			return order
		}
		return comparePairs(a.labels, b.labels)
	})
	var found []*typesv1.Series
	for _, one := range sorted {
		if len(one.sums) == 0 || most > 0 && len(found) == most {
			continue
		}
		series := &typesv1.Series{Labels: one.labels}
		for _, at := range slices.Sorted(maps.Keys(one.sums)) {
			series.Points = append(series.Points, &typesv1.Point{Timestamp: at, Value: one.sums[at]})
		}
		found = append(found, series)
	}
	return found
}
