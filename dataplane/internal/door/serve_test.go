package door

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// TestServeForOthers lets tests in another language (tests/gateway_door.py) call the real door: it stands before the
// backend that the environment names, says where and with which tokens, and ends with its standard input.
func TestServeForOthers(t *testing.T) {
	url := os.Getenv("FLAMEPLANE_DOOR_BACKEND")
	if url == "" {
		t.Skip("there is nobody to serve: FLAMEPLANE_DOOR_BACKEND is not set")
	}
	w := newWorld(t)
	text := strings.NewReplacer("BACKEND", url, "ISSUER", w.issuer.url, "windowDays: 31", "windowDays: 90").Replace(gatewayYAML)
	w.write(w.folders.Config, text)
	w.start(w.leases)
	said, err := json.Marshal(map[string]string{
		"url":        w.url,
		"node":       w.program("flameplane-node/flameplane-node"),
		"downsample": w.program("flameplane-system/flameplane-downsample"),
		"engineer":   w.person("payments-engineers"),
		"platform":   w.person("platform"),
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("READY %s\n", said)
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, record := range w.journal.all() {
		line, err := json.Marshal(map[string]any{
			"operation": record.Operation, "tenant": record.Tenant, "allowed": record.Allowed, "rule": record.Rule, "reason": record.Reason,
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("RECORD %s\n", line)
	}
}
