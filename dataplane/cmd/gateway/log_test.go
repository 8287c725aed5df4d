package main

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The log has to fit into the pod's volume, and its last lines into the time that a pod has to stop.
func TestTheLogFitsIntoThePod(t *testing.T) {
	text, err := os.ReadFile("../../../tests/plan/golden/prod/flameplane-access/deployment-gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Spec struct {
			Template struct {
				Spec struct {
					Grace   float64 `yaml:"terminationGracePeriodSeconds"`
					Volumes []struct {
						Name     string `yaml:"name"`
						EmptyDir struct {
							Limit string `yaml:"sizeLimit"`
						} `yaml:"emptyDir"`
					} `yaml:"volumes"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	if err := yaml.NewDecoder(strings.NewReader(string(text))).Decode(&found); err != nil {
		t.Fatal(err)
	}
	pod, limit := found.Spec.Template.Spec, ""
	for _, volume := range pod.Volumes {
		if volume.Name == "audit" {
			limit = volume.EmptyDir.Limit
		}
	}
	if limit != "1Gi" || auditBudget+auditSegment >= 1<<30 {
		t.Errorf("%d bytes of log in a volume of %q", auditBudget, limit)
	}
	if needed := (drain + settle + farewell).Seconds(); pod.Grace <= needed {
		t.Errorf("the pod has %v seconds to stop, and needs %v", pod.Grace, needed)
	}
}
