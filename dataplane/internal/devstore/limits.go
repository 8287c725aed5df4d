package devstore

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// Limits of one tenant: those of Pyroscope's that have a meaning here, by its names and with its defaults
// (`pkg/validation/limits.go`). Of a duration or a size, 0 is none.
type Limits struct {
	RetentionPeriod model.Duration `yaml:"retention_period"`
	RejectOlderThan model.Duration `yaml:"reject_older_than"`
	RejectNewerThan model.Duration `yaml:"reject_newer_than"`

	IngestionRateMB      float64 `yaml:"ingestion_rate_mb"`
	IngestionBurstSizeMB float64 `yaml:"ingestion_burst_size_mb"`

	MaxProfileSizeBytes    int `yaml:"max_profile_size_bytes"`
	MaxProfileSamples      int `yaml:"max_profile_stacktrace_samples"`
	MaxProfileSampleLabels int `yaml:"max_profile_stacktrace_sample_labels"`
	MaxProfileDepth        int `yaml:"max_profile_stacktrace_depth"`
	MaxSymbolLength        int `yaml:"max_profile_symbol_value_length"` // of names of functions and files
	MaxLabelNames          int `yaml:"max_label_names_per_series"`
	MaxLabelNameLength     int `yaml:"max_label_name_length"`
	MaxLabelValueLength    int `yaml:"max_label_value_length"`

	MaxQueryLookback model.Duration `yaml:"max_query_lookback"`
	MaxQueryLength   model.Duration `yaml:"max_query_length"`

	MaxNodesDefault   int  `yaml:"max_flamegraph_nodes_default"`
	MaxNodes          int  `yaml:"max_flamegraph_nodes_max"`
	MaxNodesOfProfile bool `yaml:"max_flamegraph_nodes_on_select_merge_profile"`

	Relabeling         []*relabel.Config `yaml:"ingestion_relabeling_rules"`
	RelabelingPosition string            `yaml:"ingestion_relabeling_default_rules_position"`
}

// DefaultLimits are Pyroscope's own: `RegisterFlags` of `pkg/validation/limits.go`, `retention_period` that of
// `pkg/metastore/index/cleaner/retention`. Held against a running one of main-3fe6a457a, just within and just beyond each of
// those that a push can reach. It has more that mean nothing here: series per tenant is of its older engine alone, and of
// sessions per series the default is none, so that their label goes.
func DefaultLimits() Limits {
	const day = model.Duration(24 * time.Hour)
	return Limits{
		RetentionPeriod: 31 * day, RejectOlderThan: model.Duration(time.Hour), RejectNewerThan: model.Duration(10 * time.Minute),
		IngestionRateMB: 4, IngestionBurstSizeMB: 2,
		MaxProfileSizeBytes: 4 << 20, MaxProfileSamples: 16000, MaxProfileSampleLabels: 100, MaxProfileDepth: 1000, MaxSymbolLength: 65535,
		MaxLabelNames: 30, MaxLabelNameLength: 1024, MaxLabelValueLength: 2048,
		MaxQueryLookback: 7 * day, MaxQueryLength: day,
		MaxNodesDefault: 8 << 10, MaxNodes: 1 << 20,
		RelabelingPosition: "first",
	}
}

// rules that a profile's labels go through, Pyroscope's own among them.
func (l *Limits) rules() []*relabel.Config {
	switch l.RelabelingPosition {
	case "disabled":
		return l.Relabeling
	case "last":
		return append(l.Relabeling[:len(l.Relabeling):len(l.Relabeling)], ownRules...)
	}
	return append(ownRules[:len(ownRules):len(ownRules)], l.Relabeling...)
}

// ownRules are those that Pyroscope puts beside a tenant's (`pkg/validation/relabeling.go`): deltas that the Go profiler
// computes itself are named as any other, and CPU within a wall profile is CPU.
var ownRules = func() []*relabel.Config {
	var rules []*relabel.Config
	text := `
- {source_labels: [__name__], regex: godeltaprof_(.*), target_label: __name_replaced__, replacement: $0}
- {source_labels: [__name_replaced__], regex: godeltaprof_(.*), target_label: __delta__, replacement: "false"}
- {source_labels: [__name__], regex: godeltaprof_(.*), target_label: __name__, replacement: $1}
- {source_labels: [__name__, __type__], separator: /, regex: wall/cpu, target_label: __name_replaced__, replacement: wall}
- {source_labels: [__name__, __type__], separator: /, regex: wall/cpu, target_label: __name__, replacement: process_cpu}
`
	if err := yaml.Unmarshal([]byte(text), &rules); err != nil {
		panic(err)
	}
	if err := checkRules(rules); err != nil {
		panic(err)
	}
	return rules
}()

func checkRules(rules []*relabel.Config) error {
	for i, rule := range rules {
		if err := rule.Validate(model.UTF8Validation); err != nil {
			return fmt.Errorf("rule %d of ingestion_relabeling_rules: %w", i, err)
		}
	}
	return nil
}

// Check says what cannot be meant.
func (l *Limits) Check() error {
	for name, value := range map[string]float64{
		"ingestion_rate_mb": l.IngestionRateMB, "ingestion_burst_size_mb": l.IngestionBurstSizeMB,
		"max_profile_size_bytes": float64(l.MaxProfileSizeBytes), "max_flamegraph_nodes_default": float64(l.MaxNodesDefault),
		"max_flamegraph_nodes_max": float64(l.MaxNodes), "max_label_names_per_series": float64(l.MaxLabelNames),
	} {
		if value < 0 {
			return fmt.Errorf("%s is %v; it must be 0 or more", name, value)
		}
	}
	switch l.RelabelingPosition {
	case "first", "last", "disabled":
	default:
		return fmt.Errorf("ingestion_relabeling_default_rules_position is %q; valid: first, last, disabled", l.RelabelingPosition)
	}
	return checkRules(l.Relabeling)
}

// overrides are the limits per tenant, from a file that is read again when it changes.
type overrides struct {
	path     string
	defaults Limits
	tenants  atomic.Pointer[map[string]*Limits]
	mutex    sync.Mutex
	seen     [sha256.Size]byte
}

// readOverrides reads the file once, which has to work.
func readOverrides(path string, defaults Limits) (*overrides, error) {
	if err := defaults.Check(); err != nil {
		return nil, err
	}
	o := &overrides{path: path, defaults: defaults}
	o.tenants.Store(&map[string]*Limits{})
	if path == "" {
		return o, nil
	}
	_, err := o.look()
	return o, err
}

// look reads the file again if it changed; what cannot be read leaves the last good state.
func (o *overrides) look() (changed bool, err error) {
	if o.path == "" {
		return false, nil
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	text, err := os.ReadFile(o.path)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(text)
	if sum == o.seen {
		return false, nil
	}
	o.seen = sum
	tenants, err := o.parse(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", o.path, err)
	}
	o.tenants.Store(&tenants)
	return true, nil
}

// parse takes unknown keys as they come: the file is Pyroscope's, and most of its limits have no meaning here.
func (o *overrides) parse(text []byte) (map[string]*Limits, error) {
	var file struct {
		Overrides map[string]yaml.Node `yaml:"overrides"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	tenants := map[string]*Limits{}
	for tenant, node := range file.Overrides {
		limits := o.defaults
		if err := node.Decode(&limits); err != nil {
			return nil, fmt.Errorf("overrides of tenant %s: %w", tenant, err)
		}
		if err := limits.Check(); err != nil {
			return nil, fmt.Errorf("overrides of tenant %s: %w", tenant, err)
		}
		tenants[tenant] = &limits
	}
	return tenants, nil
}

func (o *overrides) of(tenant string) *Limits {
	if found := (*o.tenants.Load())[tenant]; found != nil {
		return found
	}
	return &o.defaults
}
