package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// What the components declare for every environment is what this program reads: the rendered objects are committed.
const (
	golden = "../../../tests/plan/golden"
	// The same of a project with a grant.
	granted = "../../../tests/plan/golden_exports"
)

func TestReadsWhatIsDeclared(t *testing.T) {
	for _, environment := range []string{"local", "dev", "staging", "prod"} {
		folder := filepath.Join(golden, environment, "flameplane-access")
		gateway, err := ReadGateway([]byte(data(t, filepath.Join(folder, "configmap-gateway.yaml"))["gateway.yaml"]))
		if err != nil {
			t.Errorf("%s: %v", environment, err)
			continue
		}
		if (gateway.Audit == nil) != (environment == "local") {
			t.Errorf("%s ships its audit log to %+v", environment, gateway.Audit)
		}
		if len(gateway.Tenants) == 0 || len(gateway.Programs.Accounts) == 0 {
			t.Errorf("%s: %+v", environment, gateway)
		}
		gate := t.TempDir()
		for name, text := range data(t, filepath.Join(folder, "configmap-ci-gate.yaml")) {
			if err := os.WriteFile(filepath.Join(gate, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if read, err := ReadGate(gate); err != nil || len(read.Services) == 0 {
			t.Errorf("%s: %+v %v", environment, read, err)
		}
	}
}

func data(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Data map[string]string `yaml:"data"`
	}
	if err := yaml.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found.Data
}

func TestWhatMakesNoSenseIsSaid(t *testing.T) {
	good := data(t, filepath.Join(golden, "prod", "flameplane-access", "configmap-gateway.yaml"))["gateway.yaml"]
	for name, one := range map[string]struct{ from, to, said string }{
		"two tenants in one": {"tenant: payments", "tenant: payments|catalog", "tenants[2].tenant"},
		"one tenant twice":   {"longterm: payments-longterm", "longterm: catalog", "which another tenant is called too"},
		"an unknown key":     {"people:", "peoples: 1\npeople:", "peoples"},
		"a plain backend":    {"write: https:", "write: http:", "reached in plain text"},
		"no audit bucket":    {"bucket: acme-flameplane-audit-prod", "bucket: ''", "audit.bucket is missing"},
		"an open prefix":     {"prefix: gateway/", "prefix: gateway", "it must end with a slash"},
		"no endpoint":        {"endpoint: s3.", "endpoint: ftp://s3.", "audit.endpoint is"},
		"no issuer":          {"issuer: https://id.example.com/realms/acme", "issuer: ''", "people.issuer is missing"},
		"an unknown right":   {"read: totals", "read: everything", "programs.accounts[3].read"},
		"no bound":           {"maxNodes: 16384\nbackend", "maxNodes: 0\nbackend", "limits.maxNodes"},
		"a second document":  {"backend:", "backend: {}\n---\nbackend:", "second document"},
	} {
		text := strings.Replace(good, one.from, one.to, 1)
		if text == good {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := ReadGateway([]byte(text)); err == nil || !strings.Contains(err.Error(), one.said) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadsTheGrantsThatAreDeclared(t *testing.T) {
	folder := t.TempDir()
	declared := data(t, filepath.Join(granted, "configmap-grants.yaml"))
	for name, text := range declared {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	grants, err := ReadGrants(folder)
	if err != nil || len(grants) != len(declared) {
		t.Fatalf("%v %v", grants, err)
	}
	found := grants["20261120-0900-checkout"]
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	spec := found.Spec
	for key, one := range map[string]struct{ is, wants any }{
		"granted": {found.Metadata.Granted, at("2026-11-20T09:00:00Z")}, "expires": {spec.Expires, at("2026-11-23T09:00:00Z")},
		"window.from": {spec.Window.From, at("2026-11-20T08:00:00Z")}, "window.to": {spec.Window.To, at("2026-11-20T08:30:00Z")},
		"requester": {spec.Requester, "jane@example.com"}, "approver": {spec.Approver, "@acme/platform"},
		"team": {spec.Team, "payments"}, "service": {spec.Service, "checkout"}, "format": {spec.Format, "pprof"},
		"purpose": {spec.Purpose, "Postmortem 4711: the JDK's vendor looks at a lock in their collector"},
	} {
		if one.is != one.wants {
			t.Errorf("%s is %v, not %v", key, one.is, one.wants)
		}
	}
	for name, text := range map[string]string{"a day alone": "2026-11-20", "seconds left out": "2026-11-20T09:00Z"} {
		wrong := strings.Replace(declared["20261120-0900-checkout.yaml"], "2026-11-20T09:00:00Z", text, 1)
		if err := os.WriteFile(filepath.Join(folder, "20261120-0900-checkout.yaml"), []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadGrants(folder); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func TestAGrantIsOneOfTwoPeople(t *testing.T) {
	good := `{apiVersion: flameplane.dev/v1, kind: ExportGrant, metadata: {name: gift, granted: 2026-01-01T00:00:00Z},
spec: {requester: ann, approver: bob, team: payments, service: checkout, format: pprof, purpose: x, expires: 2026-01-02T00:00:00Z,
window: {from: 2026-01-01T00:00:00Z, to: 2026-01-01T01:00:00Z}}}`
	for name, one := range map[string]struct{ from, to, said string }{
		"good":           {"", "", ""},
		"approved alone": {"approver: bob", "approver: ANN", "approved it alone"},
		"another's name": {"name: gift", "name: other", "it must be the file's name"},
		"something else": {"ExportGrant", "Grant", "no ExportGrant"},
		"an unknown key": {"purpose: x", "purpose: x, tenant: y", "tenant"},
		"no time":        {"expires: 2026-01-02T00:00:00Z", "expires: soon", "soon"},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "gift.yaml"), []byte(strings.Replace(good, one.from, one.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := ReadGrants(folder)
		if one.said == "" {
			if err != nil || found["gift"].Spec.Requester != "ann" || len(found["gift"].Digest()) != 64 {
				t.Errorf("%s: %+v %v", name, found, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), one.said) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found, err := ReadGrants(filepath.Join(t.TempDir(), "none")); err != nil || len(found) != 0 {
		t.Errorf("a missing folder: %v %v", found, err)
	}
}
