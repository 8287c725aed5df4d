package audit

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sample is a committed log, and shipped the same as it lies in a bucket. The tests of `flameplane audit` read both, so
// that both sides hold one format.
const (
	sample  = "testdata/chain.jsonl"
	shipped = "testdata/shipped"
)

func records() []Record {
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
	all := []Record{view, push, export, refused}
	for i := range all {
		all[i].Time, all[i].Request = at.Add(time.Duration(i)*time.Minute), string(rune('a'+i))
	}
	return all
}

func TestTheSampleIsWhatIsWritten(t *testing.T) {
	folder := t.TempDir()
	journal, err := Open(folder, "gateway-7f9c-x2x4l", nil, roomy)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records() {
		if err := journal.Write(t.Context(), &record); err != nil {
			t.Fatal(err)
		}
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, sample, all(t, folder))
}

// kept is a bucket on disk.
type kept struct{ folder string }

func (k kept) Put(_ context.Context, name string, content []byte) error {
	path := filepath.Join(k.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func TestTheShippedSampleIsWhatIsShipped(t *testing.T) {
	folder, bucket := t.TempDir(), t.TempDir()
	journal, err := Open(folder, "gateway-7f9c-x2x4l", nil, roomy)
	if err != nil {
		t.Fatal(err)
	}
	s := &Shipper{journal: journal, store: kept{bucket}, metrics: NewMetrics(prometheus.NewRegistry(), journal)}
	all := records()
	for i := range all {
		if err := errors.Join(journal.Write(t.Context(), &all[i]), s.anchor(t.Context())); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // two lines to a segment
			journal.disk.rotate()
		}
	}
	if err := errors.Join(journal.Close(), s.anchor(t.Context()), s.ship(t.Context())); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("FLAMEPLANE_UPDATE") == "1" {
		if err := errors.Join(os.RemoveAll(shipped), os.CopyFS(shipped, os.DirFS(bucket))); err != nil {
			t.Fatal(err)
		}
	}
	objects := names(t, bucket)
	if committed := names(t, shipped); len(objects) != 8 || !slices.Equal(committed, objects) {
		t.Fatalf("%s has %q, not %q", shipped, committed, objects)
	}
	for _, name := range objects {
		same(t, filepath.Join(shipped, name), plain(t, filepath.Join(bucket, name)))
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// plain is the text of a file: what gzip makes of it may differ from one Go to the next.
func plain(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := io.Reader(file)
	if strings.HasSuffix(path, ".gz") {
		if reader, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func same(t *testing.T, committed string, written []byte) {
	t.Helper()
	if os.Getenv("FLAMEPLANE_UPDATE") == "1" && !strings.HasPrefix(committed, shipped) {
		if err := os.WriteFile(committed, written, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found := plain(t, committed); !bytes.Equal(found, written) {
		t.Fatalf("%s is another log; with FLAMEPLANE_UPDATE=1 this test writes it anew", committed)
	}
}
