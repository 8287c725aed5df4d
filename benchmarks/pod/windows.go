package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const (
	busyCores  = 1
	perWindow  = busyCores * rate * int(window/time.Second) // CPU samples
	heapSample = 512 << 10                                  // bytes between two samples of the heap
)

// drawn makes windows of CPU out of all samples that were captured: each is a draw with replacement, so that counts and
// rare stacks differ from window to window as they do in a service whose load stays the same.
type drawn struct {
	of      *profile.Profile
	samples []*profile.Sample // each as often as it was seen
}

func newDrawn(of *profile.Profile) *drawn {
	found := &drawn{of: of}
	for _, sample := range of.Sample {
		for range sample.Value[0] {
			found.samples = append(found.samples, sample)
		}
	}
	return found
}

func (d *drawn) window(random *rand.Rand, ends time.Time) (*profile.Profile, int64) {
	counts := map[*profile.Sample]int64{}
	for range perWindow {
		counts[d.samples[random.IntN(len(d.samples))]]++
	}
	one := windowOf(d.of, ends)
	var total int64
	for _, sample := range d.of.Sample {
		if count := counts[sample]; count > 0 {
			value := count * d.of.Period
			total += value
			one.Sample = append(one.Sample, &profile.Sample{Location: sample.Location, Label: sample.Label, Value: []int64{count, value}})
		}
	}
	return one.Compact(), total
}

// heapWindow takes one of the captured windows and draws anew how often each of its stacks was sampled.
func heapWindow(random *rand.Rand, heaps []*profile.Profile, ends time.Time) *profile.Profile {
	of := heaps[random.IntN(len(heaps))]
	one := windowOf(of, ends)
	for _, sample := range of.Sample { // alloc_objects, alloc_space, inuse_objects, inuse_space
		seen := max(1, float64(sample.Value[1])/heapSample)
		part := float64(poisson(random, seen)) / seen
		values := []int64{int64(part * float64(sample.Value[0])), int64(part * float64(sample.Value[1])), sample.Value[2], sample.Value[3]}
		if values[1] > 0 || values[3] > 0 {
			one.Sample = append(one.Sample, &profile.Sample{Location: sample.Location, Label: sample.Label, NumLabel: sample.NumLabel, NumUnit: sample.NumUnit, Value: values})
		}
	}
	return one.Compact()
}

func windowOf(of *profile.Profile, ends time.Time) *profile.Profile {
	return &profile.Profile{
		SampleType: of.SampleType, DefaultSampleType: of.DefaultSampleType, PeriodType: of.PeriodType, Period: of.Period,
		TimeNanos: ends.Add(-window).UnixNano(), DurationNanos: int64(window),
		Mapping: of.Mapping, Location: of.Location, Function: of.Function,
	}
}

// poisson by Knuth, in parts, since e^-mean is 0 for a large mean.
func poisson(random *rand.Rand, mean float64) (count int) {
	for ; mean > 0; mean -= 100 {
		limit, product := math.Exp(-min(mean, 100)), random.Float64()
		for ; product > limit; count++ {
			product *= random.Float64()
		}
	}
	return count
}

func packed(one *profile.Profile) (text []byte, raw int) {
	var zipped, plain bytes.Buffer
	if err := one.Write(&zipped); err != nil {
		panic(err) // to memory
	}
	if err := one.WriteUncompressed(&plain); err != nil {
		panic(err)
	}
	return zipped.Bytes(), plain.Len()
}

// labels are those that a pod of the platform has, beside the profile's name.
var labels = map[string]string{
	"service_name": "checkout", "team": "payments", "env": "prod", "region": "eu-west-1", "version": "1.42.0",
	"namespace": "payments", "pod": "checkout-7d4b9c6f5d-x2x4l", "node": "ip-10-0-12-34",
}

func push(ctx context.Context, url, tenant, name string, text []byte) error {
	pairs := []map[string]string{{"name": "__name__", "value": name}}
	for key, value := range labels {
		pairs = append(pairs, map[string]string{"name": key, "value": value})
	}
	samples := []map[string]string{{"rawProfile": base64.StdEncoding.EncodeToString(text)}}
	body, err := json.Marshal(map[string]any{"series": []map[string]any{{"labels": pairs, "samples": samples}}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/push.v1.PusherService/Push", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Scope-OrgID", tenant)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	return nil
}
