package devstore

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/pprof/profile"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// tidy takes away what is not stored: negative samples, numbers as labels, addresses that have a name, and the types
// that Go's compiler writes into the names of generic functions, which differ by chance.
func tidy(one *profile.Profile) {
	one.Comments, one.DropFrames, one.KeepFrames, one.DocURL = nil, "", "", ""
	one.Sample = slices.DeleteFunc(one.Sample, func(sample *profile.Sample) bool {
		return slices.ContainsFunc(sample.Value, func(value int64) bool { return value < 0 })
	})
	for _, sample := range one.Sample {
		sample.NumLabel, sample.NumUnit = nil, nil
	}
	nowhere := &profile.Mapping{ID: freeMapping(one)}
	for _, location := range one.Location {
		if location.Mapping == nil {
			location.Mapping = nowhere
		}
		if location.Mapping.HasFunctions {
			location.Address = 0
		}
	}
	one.Mapping = append(one.Mapping, nowhere)
	for _, mapping := range one.Mapping {
		if mapping.HasFunctions {
			mapping.Start, mapping.Limit, mapping.Offset = 0, 0, 0
		}
	}
	for _, function := range one.Function {
		function.Name = withoutTypes(function.Name)
	}
}

func freeMapping(one *profile.Profile) uint64 {
	free := uint64(1)
	for _, mapping := range one.Mapping {
		free = max(free, mapping.ID+1)
	}
	return free
}

const shape = "[go.shape."

func withoutTypes(name string) string {
	var kept strings.Builder
	for {
		start := strings.Index(name, shape)
		if start < 0 {
			break
		}
		depth, end := 0, -1
		for i := start; i < len(name) && end < 0; i++ {
			switch name[i] {
			case '[':
				depth++
			case ']':
				if depth--; depth == 0 {
					end = i + 1
				}
			}
		}
		if end < 0 {
			break
		}
		kept.WriteString(name[:start])
		name = name[end:]
	}
	return kept.String() + name
}

// mostSplit is what all parts of a profile may have before they are compressed: each repeats the functions that it refers
// to, and all are held until they are stored. Pyroscope knows no such limit, since it keeps the functions of all parts once
// (`pkg/segmentwriter`): it took 13000 sets of labels that come to 104 MiB here. It is 16 times the largest profile, which is
// also all that bounds the number of sets: Pyroscope takes one for each of 16000 samples (tried), and so do we.
const mostSplit = 64 << 20

// split makes a record of each set of labels. A sample's own labels become labels of its series, those of its span and
// trace apart, which stay with the sample (`pkg/model/pprofsplit`).
func split(limits *Limits, set labels.Labels, one *profile.Profile) ([]record, error) {
	type group struct {
		labels  labels.Labels
		samples []*profile.Sample
	}
	groups, rules := map[string]*group{}, limits.rules()
	builder := labels.NewBuilder(set)
	for _, sample := range one.Sample {
		own := ids(sample)
		builder.Reset(set)
		for name, values := range sample.Label {
			if builder.Get(name) == "" && len(values) > 0 {
				builder.Set(name, values[0])
			}
		}
		sample.Label = own
		if !relabel.ProcessBuilder(builder, rules...) {
			continue
		}
		result := builder.Labels()
		key := string(packLabels(result))
		if groups[key] == nil {
			groups[key] = &group{labels: result}
		}
		groups[key].samples = append(groups[key].samples, sample)
	}
	var records []record
	size := 0
	for _, each := range groups {
		if err := checkLabels(limits, each.labels); err != nil {
			return nil, err
		}
		if made, err := recorded(each.labels, partOf(one, each.samples)); err != nil {
			return nil, err
		} else if made != nil {
			if size += made.unpacked; size > mostSplit && len(groups) > 1 {
				return nil, invalid("the profile has %d sets of labels, which come to more than %d bytes; has a label of its samples a value for each request?", len(groups), mostSplit)
			}
			records = append(records, *made)
		}
	}
	return records, nil
}

// partOf is a profile with some of its samples, and with no more of its tables than they refer to.
func partOf(one *profile.Profile, samples []*profile.Sample) *profile.Profile {
	part := &profile.Profile{
		SampleType: one.SampleType, DefaultSampleType: one.DefaultSampleType, Sample: samples, Mapping: one.Mapping,
		TimeNanos: one.TimeNanos, DurationNanos: one.DurationNanos, PeriodType: one.PeriodType, Period: one.Period,
	}
	locations, functions := map[*profile.Location]bool{}, map[*profile.Function]bool{}
	for _, sample := range samples {
		for _, location := range sample.Location {
			if locations[location] {
				continue
			}
			locations[location] = true
			part.Location = append(part.Location, location)
			for _, line := range location.Line {
				if !functions[line.Function] {
					functions[line.Function] = true
					part.Function = append(part.Function, line.Function)
				}
			}
		}
	}
	return part
}

// ids takes what ties a sample to a request out of its labels.
func ids(sample *profile.Sample) map[string][]string {
	own := map[string][]string{}
	for from, to := range map[string]string{oldSpanLabel: spanLabel, spanLabel: spanLabel, traceLabel: traceLabel} {
		if values := sample.Label[from]; len(values) > 0 {
			if isHex(values[0], map[string]int{spanLabel: 16, traceLabel: 32}[to]) {
				own[to] = values[:1]
			}
			delete(sample.Label, from)
		}
	}
	return own
}

func isHex(text string, length int) bool {
	return len(text) == length && !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
}

func checkLabels(limits *Limits, set labels.Labels) error {
	if most := limits.MaxLabelNames; most > 0 && set.Len() > most {
		return invalid("profile series '%s' has %d label names; limit %d", set, set.Len(), most)
	}
	if !model.UTF8Validation.IsValidMetricName(set.Get(nameLabel)) {
		return invalid("invalid labels '%s' with error: invalid metric name (label __name__, as process_cpu)", set)
	}
	if set.Get(serviceLabel) == "" {
		return invalid("invalid labels '%s' with error: service name is not provided", set)
	}
	return set.Validate(func(one labels.Label) error {
		switch {
		case len(one.Name) > limits.MaxLabelNameLength:
			return invalid("profile has a label name that is too long: '%.80s'", one.Name)
		case len(one.Value) > limits.MaxLabelValueLength:
			return invalid("profile has a label value that is too long: %s='%.80s'", one.Name, one.Value)
		case !model.UTF8Validation.IsValidLabelName(one.Name) || !utf8.ValidString(one.Value):
			return invalid("invalid labels '%s' with error: invalid label '%.80s'", set, one.Name)
		}
		return nil
	})
}

// recorded packs one profile with all its series; nil when no value is left.
func recorded(set labels.Labels, part *profile.Profile) (*record, error) {
	whole, err := profile.Merge([]*profile.Profile{part}) // equal stacks become one, what nothing refers to goes
	if err != nil {
		return nil, invalid("the profile cannot be read: %v", err)
	}
	made := &record{nanos: whole.TimeNanos, id: uuid.New()}
	for number := range whole.SampleType {
		var total int64
		for _, sample := range whole.Sample {
			total += sample.Value[number]
		}
		if total > 0 {
			made.series = append(made.series, column{typed(set, whole, number), number, total})
		}
	}
	if len(made.series) == 0 {
		return nil, nil
	}
	var raw bytes.Buffer
	if err := whole.WriteUncompressed(&raw); err != nil {
		return nil, err
	}
	made.unpacked = raw.Len()
	made.body = packer.EncodeAll(raw.Bytes(), nil)
	return made, nil
}

var packer = func() *zstd.Encoder {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return encoder
}()

// typed adds the labels that Pyroscope makes itself, by which a profile is found (`pkg/phlaredb/labels`).
func typed(set labels.Labels, one *profile.Profile, number int) labels.Labels {
	kind, period := one.SampleType[number], periodType(one)
	builder := labels.NewBuilder(set).Del(deltaLabel, orderLabel, sessionLabel)
	builder.Set("__service_name__", set.Get(serviceLabel))
	builder.Set("__type__", kind.Type).Set("__unit__", kind.Unit)
	builder.Set("__period_type__", period.Type).Set("__period_unit__", period.Unit)
	parts := []string{set.Get(nameLabel), kind.Type, kind.Unit, period.Type, period.Unit}
	builder.Set(profileTypeLabel, strings.Join(parts, ":"))
	return builder.Labels()
}
