package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flameplane.dev/dataplane/internal/identity"
)

// TestMain is also the program that a test starts the agent through; see contained_test.go.
func TestMain(m *testing.M) {
	if plan := os.Getenv(containedPlan); plan != "" {
		contained(plan)
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

func TestServicesAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"baseRateHz": 99}`)
	first, err := identity.ReadDeclared(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{path: path, seen: first}
	if changed := f.look(); changed != nil {
		t.Errorf("%+v", changed)
	}
	write(`{"baseRateHz": 99, "excludedNamespaces": ["a"]}`)
	if changed := f.look(); changed == nil || len(changed.ExcludedNamespaces) != 1 {
		t.Errorf("%+v", changed)
	}
	write(`{`)
	if changed := f.look(); changed != nil || f.told == "" || len(f.seen.ExcludedNamespaces) != 1 {
		t.Errorf("%+v", changed)
	}
}
