package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// givenSDK is a program with one of Pyroscope's SDKs: how it is started, its hot function, the profile that has it.
const givenSDK = "FLAMEPLANE_TEST_SDK"

// What an SDK pushes without a credential that is one arrives as its pod's, whatever team it says.
func TestAnSDKPushes(t *testing.T) {
	given := os.Getenv(givenSDK)
	if given == "" {
		t.Skipf("NOT RUN: %s is not set; tests/upstream/test_sdk_receiver.py installs the SDKs and sets it", givenSDK)
	}
	var sdk struct {
		Command   []string
		Hot, Name string
	}
	if err := json.Unmarshal([]byte(given), &sdk); err != nil {
		t.Fatal(err)
	}
	w := newWorldOf(t, cart, "127.0.0.1")
	to := "http://" + w.pushes
	command := exec.Command(sdk.Command[0], sdk.Command[1:]...)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(),
		"GATEWAY="+to, "TOKEN=none", "SERVICE=other", "TEAM=other", "SECONDS_LONG=12", "TMPDIR="+command.Dir,
		"PYROSCOPE_SERVER_ADDRESS="+to, "PYROSCOPE_APPLICATION_NAME=other", "PYROSCOPE_LABELS=team=other",
		"PYROSCOPE_UPLOAD_INTERVAL=2s", "PYROSCOPE_FORMAT=jfr", "PYROSCOPE_PROFILER_ALLOC=64k", "PYROSCOPE_PROFILER_LOCK=1ms",
	)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	told := w.get("/metrics")
	if err := w.stops(); err != nil {
		t.Fatalf("%v\n%s", err, w.said)
	}
	var names []string
	for key, functions := range w.gateway.named {
		t.Logf("%s: %d times, %d functions", key, w.gateway.taken[key], len(functions))
		if !strings.HasPrefix(key, "catalog/search/search-0 ") && !strings.HasPrefix(key, "shop/cart/cart-0 goroutine") {
			t.Errorf("%s is not the pod's", key)
		}
		if key == "catalog/search/search-0 "+sdk.Name {
			for name := range functions {
				names = append(names, strings.Split(name, ":")...) // Node.js: file:function:line
			}
		}
	}
	if !slices.Contains(names, sdk.Hot) {
		t.Errorf("%s is not in %s: %v", sdk.Hot, sdk.Name, names)
	}
	if strings.Contains(told, "flameplane_receiver_refused_total{") || len(w.gateway.bad) > 0 {
		t.Errorf("something was refused: %v\n%s", w.gateway.bad, told)
	}
}
