package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sample is a committed log, which the tests of `flameplane audit` read: both sides hold one format.
const sample = "testdata/chain.jsonl"

func TestTheSampleIsWhatIsWritten(t *testing.T) {
	folder := t.TempDir()
	journal, err := Open(folder, "gateway-7f9c-x2x4l", nil, roomy)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	person := Record{
		Method: "POST", Kind: "person", Subject: "1f2e", Name: "ann@example.com", Groups: []string{"payments-engineers"},
		Address: "10.1.2.3", Agent: "Grafana/12.0", Tenant: "payments", Services: []string{"checkout"}, Allowed: true, Status: 200,
		Type: "process_cpu:cpu:nanoseconds:cpu:nanoseconds", Start: at.Add(-time.Hour), End: at, Duration: 12 * time.Millisecond,
		Path: "/tenant/payments/querier.v1.QuerierService/SelectMergeStacktraces", Operation: "stacktraces", Rule: "reader-of-team",
	}
	view, export, refused, push := person, person, person, Record{
		Method: "POST", Path: "/push.v1.PusherService/Push", Operation: "push", Kind: "program", Allowed: true, Status: 200,
		Account: "flameplane-node/flameplane-node", Name: "flameplane-node/flameplane-node", Pod: "flameplane-node-8k2",
		Address: "10.1.2.4", Tenant: "payments", Services: []string{"checkout", "ledger"}, Rule: "program-writes-team", Received: 4096,
	}
	view.Format, view.MaxNodes, view.Bytes = "flamegraph", 8192, 512
	export.Operation, export.Format, export.Grant, export.Rule = "profile", "pprof", "incident-4711", "grant"
	refused.Allowed, refused.Status, refused.Rule, refused.Code = false, 403, "other-tenant", "permission_denied"
	refused.Reason, refused.Services, refused.Tenant = "none of your groups reads the profiles of that team — „search“", nil, ""
	for i, record := range []Record{view, push, export, refused} {
		record.Time, record.Request = at.Add(time.Duration(i)*time.Minute), string(rune('a'+i))
		if err := journal.Write(t.Context(), &record); err != nil {
			t.Fatal(err)
		}
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(folder, segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("FLAMEPLANE_UPDATE") == "1" {
		if err := os.WriteFile(sample, written, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(sample); err != nil || !bytes.Equal(committed, written) {
		t.Fatalf("%s is another log (%v); with FLAMEPLANE_UPDATE=1 this test writes it anew", sample, err)
	}
}
