package collect

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/sampler"
)

// On older kernels stacks are places, and processes have no mappings.
func TestPlacesInFiles(t *testing.T) {
	w := &world{
		stacks: map[uint64][]uint64{},
		counts: []sampler.Count{
			{Sample: sample(8, one, 1, 0, 99), Number: 2}, {Sample: sample(8, one, 9, 0, 99), Number: 3},
			{Sample: sample(8, one, 0, 0, 99), Number: 5},
		},
	}
	c, metrics := begin(w)
	c.kinds[0].Places = func(key uint64) ([]bpf.Place, bool) {
		place := bpf.Place{Status: bpf.Known, BuildID: [20]byte{1, 19: 2}, Offset: 0x1234}
		return []bpf.Place{place, {Status: 2, Offset: 0x7f0000000000}}, key == 1
	}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	byStack := map[string]int64{}
	for _, sample := range flushed(t, c)[unknown].Sample {
		var stack []string
		for _, location := range sample.Location {
			if len(location.Line) > 0 {
				stack = append(stack, location.Line[0].Function.Name)
			} else {
				stack = append(stack, fmt.Sprintf("%s+%#x", location.Mapping.BuildID, location.Address))
			}
		}
		byStack[strings.Join(stack, " ")] += sample.Value[0]
	}
	want := map[string]int64{
		"0100000000000000000000000000000000000002+0x1234 [no build id]": 2, "[stack lost]": 3, "[no stack]": 5,
	}
	if !maps.Equal(byStack, want) {
		t.Errorf("%v", byStack)
	}
	if lost := testutil.ToFloat64(metrics.StacksLost); lost != 3 {
		t.Errorf("%v stacks lost", lost)
	}
}
