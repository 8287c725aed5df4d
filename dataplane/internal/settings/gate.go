package settings

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// Gate is what CI jobs may read: trust.yaml and services.yaml of ConfigMap ci-gate.
type Gate struct {
	Issuers  []string
	Audience string
	Services []GatedService
}

// GatedService ties a repository to the one service whose profiles its jobs may read.
type GatedService struct {
	Service    string         `yaml:"service"`
	Repository string         `yaml:"repository"`
	Reads      GateReads      `yaml:"reads"`
	Gate       map[string]any `yaml:"gate"` // the verdict's own settings, which the gate's program reads
}

// GateReads is all that such a job may see.
type GateReads struct {
	Tenant        string   `yaml:"tenant"`
	Types         []string `yaml:"types"` // as in service.yaml: cpu
	WindowMinutes int      `yaml:"windowMinutes"`
}

// ReadGate reads both files of a folder.
func ReadGate(folder string) (*Gate, error) {
	var trust struct {
		Issuers  []string `yaml:"issuers"`
		Audience string   `yaml:"audience"`
	}
	var services struct {
		Services []GatedService `yaml:"services"`
	}
	if err := readFile(filepath.Join(folder, "trust.yaml"), &trust); err != nil {
		return nil, err
	}
	if err := readFile(filepath.Join(folder, "services.yaml"), &services); err != nil {
		return nil, err
	}
	return &Gate{Issuers: trust.Issuers, Audience: trust.Audience, Services: services.Services}, nil
}

// Of returns what the jobs of a repository may read; several services may live in one repository.
func (g *Gate) Of(repository string) []GatedService {
	return slices.DeleteFunc(slices.Clone(g.Services), func(s GatedService) bool { return s.Repository != repository })
}

// ReadGrants reads every grant of a folder; the folder may be missing, which is no grant at all. One that cannot be read
// is told in the error, and is none: the others are good all the same.
func ReadGrants(folder string) (map[string]Grant, error) {
	found := map[string]Grant{}
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	var bad []error
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".yaml" {
			continue
		}
		grant, err := readGrant(filepath.Join(folder, entry.Name()))
		if err != nil {
			bad = append(bad, err)
			continue
		}
		found[grant.Name()] = grant
	}
	return found, errors.Join(bad...)
}
