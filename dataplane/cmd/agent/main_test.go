package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestMain is also the program that a test starts the agent through (contained_test.go), and a
// machine's first process (guest_test.go).
func TestMain(m *testing.M) {
	if plan := os.Getenv(containedPlan); plan != "" {
		contained(plan)
	}
	if isGuest() {
		guest(m)
	}
	os.Exit(m.Run())
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	for arguments, said := range map[string]string{
		"":                          "loader or agent",
		"receiver":                  `"receiver" is neither`,
		"loader":                    "-pins and -gid",
		"agent":                     "-pins and -services",
		"agent -pins=a -services=b": "either -gateway or -folder",
		"agent -pins=a -services=b -gateway=c -folder=d":              "either -gateway or -folder",
		"agent -pins=a -services=b -gateway=c":                        "needs -gateway-token",
		"agent -pins=a -services=b -gateway=c -gateway-token=d":       "NODE_NAME",
		"agent -pins=a -services=b -folder=d -every=1s -read=2s":      "-every is shorter",
		"agent -pins=a -services=b -folder=d -capability=cap_perfmon": "flag provided but not defined",
	} {
		err := command(context.Background(), strings.Fields(arguments))
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", arguments, err)
		}
	}
}
