package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// Declared is services.json: what is to be sampled, as components/node_agent.py writes it.
type Declared struct {
	BaseHz             uint32   `json:"baseRateHz"`
	ExcludedNamespaces []string `json:"excludedNamespaces"`
	OptOut             string   `json:"optOutAnnotation"`
	// Of pods of no declared service, and of what is in no pod. Without it they are not sampled.
	Undeclared *Others   `json:"undeclared"`
	Services   []Service `json:"services"`
}

// Others is whose profiles of undeclared pods are, and at which rate they are sampled.
type Others struct {
	Team string `json:"team"`
	Hz   uint32 `json:"sampleRateHz"`
}

// Service is a declared one.
type Service struct {
	Name      string            `json:"service"`
	Team      string            `json:"team"`
	Namespace string            `json:"namespace"`
	Selector  map[string]string `json:"selector"`
	Language  string            `json:"language"`
	Hz        uint32            `json:"sampleRateHz"`
	Types     []string          `json:"types"`
	CPUSource string            `json:"cpuSource"`
	Labels    struct {
		Version string `json:"version"`
		GitRef  string `json:"gitRef"`
		Track   string `json:"track"`
	} `json:"labels"`
	PprofPort int `json:"pprofPort"`
}

// ReadDeclared reads the file; a key that it does not know is an error, since it would be ignored.
func ReadDeclared(path string) (*Declared, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.DisallowUnknownFields()
	var read Declared
	if err := reader.Decode(&read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if read.BaseHz == 0 || read.BaseHz > 999 {
		return nil, fmt.Errorf("%s: baseRateHz is %d", path, read.BaseHz)
	}
	if other := read.Undeclared; other != nil && (other.Team == "" || other.Hz == 0) {
		return nil, fmt.Errorf("%s: undeclared has no team or no rate", path)
	}
	for _, service := range read.Services {
		if service.Name == "" || service.Team == "" || len(service.Selector) == 0 {
			return nil, fmt.Errorf("%s: service %q has no name, no team or no selector", path, service.Name)
		}
	}
	return &read, nil
}

// rate is how often the agent samples a service: never, where another source has its CPU time.
func (s *Service) rate() uint32 {
	if s.CPUSource != "ebpf" || !slices.Contains(s.Types, "cpu") {
		return 0
	}
	return s.Hz
}

// cpuFromInside is whether the process itself is to tell its CPU time.
func (s *Service) cpuFromInside() bool {
	return s.CPUSource == "agent" && slices.Contains(s.Types, "cpu")
}

// offCPU is whether the agent counts its blocked time. Nothing of a service at rate 0 is profiled.
func (s *Service) offCPU() bool { return s.Hz > 0 && slices.Contains(s.Types, "offcpu") }

// selects is whether a pod is one of the service's.
func (s *Service) selects(namespace string, labels map[string]string) bool {
	if namespace != s.Namespace {
		return false
	}
	for key, value := range s.Selector {
		if found, ok := labels[key]; !ok || found != value {
			return false
		}
	}
	return true
}
