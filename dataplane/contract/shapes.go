package contract

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
)

// Numbers of a node in a flame graph: offset, total and self, twice in a difference, and the index of its name.
const (
	flameInts = 4
	diffInts  = 7
)

// graph writes a flame graph with the names in its nodes. Names, levels and nodes keep their order: Pyroscope sorts the
// children of a node by name, so that the same data give the same graph, and Grafana draws them as they come.
func graph(names []string, levels []*querierv1.Level, ints int, rest map[string]any) (any, error) {
	lines := make([][]string, len(levels))
	for i, level := range levels {
		line, err := nodes(names, level.Values, ints)
		if err != nil {
			return nil, fmt.Errorf("level %d: %w", i, err)
		}
		lines[i] = line
	}
	rest["names"], rest["levels"] = names, lines
	return plainly(rest)
}

func nodes(names []string, values []int64, ints int) ([]string, error) {
	line := []string{}
	for node := range slices.Chunk(values, ints) {
		if len(node) != ints || node[ints-1] < 0 || node[ints-1] >= int64(len(names)) {
			return nil, fmt.Errorf("%v is no node", node)
		}
		text := strings.Trim(fmt.Sprint(node[:ints-1]), "[]")
		line = append(line, text+" "+names[node[ints-1]])
	}
	return line, nil
}

// rendered writes the levels of GET /pyroscope/render as graph does.
func rendered(body any) any {
	whole, _ := body.(map[string]any)
	bearer, _ := whole["flamebearer"].(map[string]any)
	levels, _ := bearer["levels"].([]any)
	listed, _ := bearer["names"].([]any)
	names := make([]string, len(listed))
	for i := range listed {
		names[i], _ = listed[i].(string)
	}
	ints := flameInts
	if about, _ := whole["metadata"].(map[string]any); about["format"] == "double" {
		ints = diffInts
	}
	for i := range levels {
		numbers, _ := levels[i].([]any)
		values := make([]int64, len(numbers))
		for j := range numbers {
			number, _ := numbers[j].(json.Number)
			values[j], _ = number.Int64()
		}
		if line, err := nodes(names, values, ints); err == nil {
			levels[i] = line
		}
	}
	return body
}

// pprof writes a profile as its stacks and their values. Two pprofs that say the same can differ in every number and in
// the order of samples; both are lost on purpose, and samples of one stack are added up.
func (p *Play) pprof(profile *googlev1.Profile) any {
	text := func(at int64) string {
		if at < 0 || at >= int64(len(profile.StringTable)) {
			return fmt.Sprintf("no string %d", at)
		}
		return profile.StringTable[at]
	}
	kind := func(one *googlev1.ValueType) string { return text(one.GetType()) + "/" + text(one.GetUnit()) }
	functions := map[uint64]*googlev1.Function{}
	for _, one := range profile.Function {
		functions[one.Id] = one
	}
	locations := map[uint64]string{}
	for _, one := range profile.Location {
		frames := []string{}
		for _, line := range slices.Backward(one.Line) { // pprof has what was inlined first
			function := functions[line.FunctionId]
			frames = append(frames, place(text(function.GetName()), text(function.GetFilename()), line.Line))
		}
		if len(frames) == 0 {
			frames = append(frames, fmt.Sprintf("address %#x", one.Address))
		}
		locations[one.Id] = strings.Join(frames, "; ")
	}
	stacks := map[string][]int64{}
	for _, one := range profile.Sample {
		frames := []string{}
		for _, id := range slices.Backward(one.LocationId) {
			frames = append(frames, locations[id])
		}
		key := strings.Join(frames, "; ") + labelled(one, text)
		values := stacks[key]
		if values == nil {
			values = make([]int64, len(one.Value))
		}
		for i := range min(len(values), len(one.Value)) {
			values[i] += one.Value[i]
		}
		stacks[key] = values
	}
	lines := []string{}
	for key, values := range stacks {
		lines = append(lines, key+" = "+strings.Trim(fmt.Sprint(values), "[]"))
	}
	slices.Sort(lines)
	types, files := []string{}, []string{}
	for _, one := range profile.SampleType {
		types = append(types, kind(one))
	}
	for _, one := range profile.Mapping {
		files = append(files, text(one.Filename)+" "+text(one.BuildId))
	}
	slices.Sort(files)
	return map[string]any{
		"types": types, "periodType": kind(profile.PeriodType), "period": profile.Period, "timeNanos": p.since(profile.TimeNanos),
		"durationNanos": profile.DurationNanos, "mappings": files, "stacks": lines,
	}
}

func place(name, file string, line int64) string {
	if file == "" && line == 0 {
		return name
	}
	return fmt.Sprintf("%s@%s:%d", name, file, line)
}

func labelled(sample *googlev1.Sample, text func(int64) string) string {
	labels := []string{}
	for _, one := range sample.Label {
		labels = append(labels, fmt.Sprintf("%s=%s", text(one.Key), text(one.Str)))
	}
	if len(labels) == 0 {
		return ""
	}
	slices.Sort(labels)
	return " {" + strings.Join(labels, ", ") + "}"
}

// treePaths reads Pyroscope's own form of a tree (pkg/model/tree.go): a node is the length of its name, the name, its own
// value and the number of its children, of which the last one comes first.
func treePaths(raw []byte) ([]string, error) {
	number := func() (uint64, error) {
		value, size := binary.Uvarint(raw)
		if size <= 0 {
			return 0, errors.New("the tree is cut off")
		}
		raw = raw[size:]
		return value, nil
	}
	lines, parents := []string{}, []string{""}
	for len(parents) > 0 {
		parent := parents[len(parents)-1]
		parents = parents[:len(parents)-1]
		length, err := number()
		if err != nil || length > uint64(len(raw)) {
			return nil, errors.New("the tree is cut off")
		}
		here := parent + "; " + string(raw[:length])
		raw = raw[length:]
		own, err := number()
		if err != nil {
			return nil, err
		}
		children, err := number()
		if err != nil {
			return nil, err
		}
		if own > 0 {
			lines = append(lines, fmt.Sprintf("%s = %d", strings.TrimLeft(here, "; "), own))
		}
		for range children {
			parents = append(parents, here)
		}
	}
	slices.Sort(lines)
	return lines, nil
}

var when = regexp.MustCompile(`Time: [^\\]*`)

// dotted is a graph in dot, as lines, without when it was made.
func dotted(text string) []string {
	return strings.Split(strings.TrimSpace(when.ReplaceAllString(text, "Time: (when)")), "\n")
}

// plainly makes of any value what it is in JSON, so that it compares with what was read from a file.
func plainly(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return decoded(text)
}
