package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/jfr"
)

// apiServer names one that the test's own program, as a receiver, asks instead of the cluster's.
const apiServer = "FLAMEPLANE_TEST_API_SERVER"

// TestMain is also the receiver, and the process that it has recordings read by.
func TestMain(m *testing.M) {
	if address := os.Getenv(apiServer); address != "" {
		inCluster = func() (*rest.Config, error) { return &rest.Config{Host: address}, nil }
		main()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == jfr.Command {
		main()
	}
	os.Exit(m.Run())
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for arguments, said := range map[string]string{
		"":                              "-services is needed",
		"-service=a":                    "flag provided but not defined",
		"-services=a":                   "-gateway and -gateway-token",
		"-services=a -gateway=http://b": "-gateway and -gateway-token",
		"-services=a -gateway=b -gateway-token=c":                         "no URL of HTTP",
		"-services=a -gateway=http://b -gateway-token=c -every=10ms":      "shorter than a second",
		"-services=a -gateway=http://b -gateway-token=c -every=x":         "invalid value",
		"-services=a -gateway=http://b -gateway-token=c more":             `"more" is no flag`,
		"-services=a -gateway=http://b -gateway-token=c -metrics=nowhere": "",
	} {
		t.Setenv("NODE_NAME", "n1")
		o, err := parsed(strings.Fields(arguments))
		if said == "" && (err != nil || o.listen != ":4040" || o.metrics != "nowhere" || o.node != "n1") {
			t.Errorf("%s: %+v %v", arguments, o, err)
		}
		if said != "" && (err == nil || !strings.Contains(err.Error(), said)) {
			t.Errorf("%s: %v", arguments, err)
		}
	}
	t.Setenv("NODE_NAME", "")
	if _, err := parsed(strings.Fields("-services=a -gateway=http://b -gateway-token=c")); err == nil || !strings.Contains(err.Error(), "NODE_NAME") {
		t.Error(err)
	}
}

// The flags are those that the pod gives, to the letter.
func TestTheFlagsAreThePods(t *testing.T) {
	var arguments []string
	for line := range strings.Lines(container(t)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, `- "--`) {
			arguments = append(arguments, strings.Trim(strings.TrimPrefix(line, "- "), `"`))
		}
		if line == "env:" {
			break
		}
	}
	t.Setenv("NODE_NAME", "n1")
	o, err := parsed(arguments)
	if err != nil || len(arguments) != 5 || o.listen != ":4040" || o.metrics != ":4042" || o.services != "/etc/flameplane/services.json" {
		t.Errorf("%q: %+v %v", arguments, o, err)
	}
}

// What the receiver aims at and what the process apart may take fit the container together, beside what the kernel counts.
func TestTheContainerHasMemoryForBoth(t *testing.T) {
	_, rest, _ := strings.Cut(container(t), "limits:\n")
	found := regexp.MustCompile(`memory: "(\d+)Mi"`).FindStringSubmatch(rest)
	if found == nil {
		t.Fatalf("no limit of memory in\n%s", rest)
	}
	if limit, err := strconv.Atoi(found[1]); err != nil || limit<<20 < memoryGoal+jfr.Most+16<<20 {
		t.Errorf("%s MiB, of which %d and %d are taken: %v", found[1], memoryGoal>>20, jfr.Most>>20, err)
	}
}

// container is the receiver's, as it is rendered.
func container(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../tests/plan/golden/local/flameplane-node/daemonset-flameplane-node.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "name: receiver\n")
	if !found {
		t.Fatal("there is no receiver in the pod")
	}
	return rest
}
