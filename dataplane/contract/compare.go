package contract

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Mismatch is one place at which an answer is not what was recorded.
type Mismatch struct {
	Case     string // group/name
	Protocol string
	At       string // status, code, body.flamegraph.levels[2]
	Want     string
	Got      string
}

func (m Mismatch) String() string {
	return fmt.Sprintf("%s (%s) at %s: Pyroscope %s, here %s", m.Case, m.Protocol, m.At, m.Want, m.Got)
}

// Compare finds where the answers differ from the recorded ones.
func Compare(answers Answers) ([]Mismatch, error) {
	var found []Mismatch
	for _, group := range slices.Sorted(maps.Keys(answers)) {
		recorded, err := goldenOf(group)
		if err != nil {
			return nil, err
		}
		for name := range recorded.Answers {
			if _, ok := answers[group][name]; !ok {
				return nil, fmt.Errorf("%s/%s is recorded and no case any more; record anew", group, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(answers[group])) {
			for _, protocol := range slices.Sorted(maps.Keys(answers[group][name])) {
				want, ok := unfold(recorded.Answers[name], protocol)
				if !ok {
					return nil, fmt.Errorf("%s/%s (%s) was never recorded; docs/contract.md says how", group, name, protocol)
				}
				left, err := plainly(want)
				if err != nil {
					return nil, err
				}
				right, err := plainly(answers[group][name][protocol])
				if err != nil {
					return nil, err
				}
				for _, one := range unlike("", left, right) {
					one.Case, one.Protocol = group+"/"+name, protocol
					found = append(found, one)
				}
			}
		}
	}
	return found, nil
}

func unlike(at string, want, got any) []Mismatch {
	left, leftIs := want.(map[string]any)
	right, rightIs := got.(map[string]any)
	if leftIs && rightIs {
		keys := map[string]any{}
		maps.Copy(keys, left)
		maps.Copy(keys, right)
		var found []Mismatch
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			found = append(found, unlike(strings.TrimPrefix(at+"."+key, "."), left[key], right[key])...)
		}
		return found
	}
	list, listIs := want.([]any)
	other, otherIs := got.([]any)
	if listIs && otherIs && len(list) == len(other) {
		var found []Mismatch
		for i := range list {
			found = append(found, unlike(fmt.Sprintf("%s[%d]", at, i), list[i], other[i])...)
		}
		return found
	}
	a, b := said(want), said(got)
	if a == b {
		return nil
	}
	return []Mismatch{{At: at, Want: a, Got: b}}
}

func said(value any) string {
	if value == nil {
		return "nothing"
	}
	text, _ := json.Marshal(value) // it came from JSON
	return string(text)
}

//go:embed differences.yaml
var differencesText []byte

// Difference is one that we know of and have decided to keep, in each of its cases.
type Difference struct {
	Cases []string // group/name
	At    []string // places as a mismatch names them, and all that is below them
	Why   string
}

// Differences reads the list.
func Differences() ([]Difference, error) {
	var listed struct{ Differences []Difference }
	decoder := yaml.NewDecoder(bytes.NewReader(differencesText))
	decoder.KnownFields(true)
	if err := decoder.Decode(&listed); err != nil {
		return nil, fmt.Errorf("differences.yaml: %w", err)
	}
	for _, one := range listed.Differences {
		if len(one.Cases) == 0 || len(one.At) == 0 || one.Why == "" {
			return nil, fmt.Errorf("differences.yaml: %s needs cases, at and why", one.Cases)
		}
	}
	return listed.Differences, nil
}

func (d *Difference) covers(m Mismatch) (at int, ok bool) {
	for i, place := range d.At {
		rest, below := strings.CutPrefix(m.At, place)
		if slices.Contains(d.Cases, m.Case) && below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return i, true
		}
	}
	return 0, false
}

// Judge separates what is not on the list, and what on the list is no longer so.
func Judge(found []Mismatch, listed []Difference) (unlisted []Mismatch, stale []string) {
	seen := map[string]bool{}
	for _, one := range found {
		known := false
		for _, difference := range listed {
			if at, ok := difference.covers(one); ok {
				seen[one.Case+" at "+difference.At[at]], known = true, true
			}
		}
		if !known {
			unlisted = append(unlisted, one)
		}
	}
	for _, difference := range listed {
		for _, name := range difference.Cases {
			for _, place := range difference.At {
				if key := name + " at " + place; !seen[key] {
					stale = append(stale, key)
				}
			}
		}
	}
	return unlisted, stale
}
