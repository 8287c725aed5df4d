// Package profilename says what a profile is called that came by /ingest, where clients name none.
package profilename

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/pprof/profile"
)

// shownAs are the names that sample types have by themselves (`pkg/og/storage/tree/pprof.go`).
var shownAs = map[string]string{
	"samples": "cpu", "goroutine": "goroutines", "contentions": "mutex_count", "delay": "mutex_duration",
}

// Of guesses it from the sample types, as Pyroscope does (`pkg/og/convert/pprof`). “config“ is the client's
// sample_type_config, nil where there is none.
func Of(read *profile.Profile, config []byte) (string, error) {
	shown := shownAs
	if config != nil {
		var given map[string]struct {
			DisplayName string `json:"display-name"`
		}
		if err := json.Unmarshal(config, &given); err != nil {
			return "", fmt.Errorf("sample_type_config: %w", err)
		}
		shown = map[string]string{}
		for kind, one := range given {
			shown[kind] = one.DisplayName
		}
	}
	for _, kind := range read.SampleType {
		if kind.Type == "wall" {
			return kind.Type, nil
		}
	}
	name := ""
	for _, kind := range read.SampleType {
		if name = shown[kind.Type]; name == "" {
			name = kind.Type
		}
		switch {
		case strings.Contains(name, "cpu"):
			return "process_cpu", nil
		case strings.Contains(name, "alloc_"), strings.Contains(name, "inuse_"), name == "space", name == "objects":
			return "memory", nil
		case strings.Contains(name, "mutex_"):
			return "mutex", nil
		case strings.Contains(name, "block_"):
			return "block", nil
		case strings.Contains(name, "goroutines"):
			return "goroutines", nil
		}
	}
	return name, nil
}
