package audit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/audit"
	"flameplane.dev/dataplane/internal/objects"
	"flameplane.dev/dataplane/internal/objects/standin"
)

// replica is a journal that is shipped to a stand-in of S3 by the real client.
type replica struct {
	t        *testing.T
	folder   string
	store    *standin.Store
	registry *prometheus.Registry
	journal  *audit.Journal
	shipper  *audit.Shipper
}

func newReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{t: t, folder: t.TempDir(), store: standin.New(t)}
	r.start()
	return r
}

func (r *replica) start() {
	r.t.Helper()
	bucket, err := objects.NewBucket(r.t.Context(), r.store.Settings())
	if err != nil {
		r.t.Fatal(err)
	}
	r.journal, err = audit.Open(r.folder, "gateway-0", nil, audit.Limits{Segment: 1 << 20, Every: 10 * time.Millisecond, Budget: 1 << 20})
	if err != nil {
		r.t.Fatal(err)
	}
	r.registry = prometheus.NewRegistry()
	r.shipper = audit.Ship(r.journal, bucket, "gateway/", audit.NewMetrics(r.registry, r.journal))
}

func (r *replica) stop() {
	r.t.Helper()
	if err := r.journal.Close(); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if err := r.shipper.Close(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) write(requests ...string) {
	r.t.Helper()
	for _, id := range requests {
		if err := r.journal.Write(r.t.Context(), &audit.Record{Request: id, Rule: "test"}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// objects of a kind, in the order of their names.
func (r *replica) objects(kind string) ([]string, []string) {
	r.t.Helper()
	all := r.store.Objects()
	var names, texts []string
	for name := range all {
		if strings.HasPrefix(name, "gateway/"+kind+"/gateway-0/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		content := all[name]
		if strings.HasSuffix(name, ".gz") {
			packed, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				r.t.Fatal(err)
			}
			if content, err = io.ReadAll(packed); err != nil {
				r.t.Fatal(err)
			}
		}
		texts = append(texts, string(content))
	}
	return names, texts
}

func (r *replica) eventually(what string, is func() bool) {
	r.t.Helper()
	for range 300 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.t.Fatal("never: ", what)
}

func (r *replica) metric(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		for _, one := range family.Metric {
			if family.GetName() == name {
				total += one.GetCounter().GetValue() + one.GetGauge().GetValue()
			}
		}
	}
	return total
}

func TestEveryLineLeavesOnceAndTheNewestIsNoted(t *testing.T) {
	r := newReplica(t)
	r.write("a", "b")
	r.eventually("two lines in the store", func() bool {
		_, texts := r.objects("lines")
		return strings.Contains(strings.Join(texts, ""), `"uid":"b"`)
	})
	r.write("c")
	r.stop()
	names, texts := r.objects("lines")
	if text := strings.Join(texts, ""); strings.Count(text, "\n") != 5 { // with started and stopped
		t.Fatal(names, text)
	}
	head := r.journal.Head()
	if last := names[len(names)-1]; !strings.HasSuffix(last, "-000000000005-"+head.Hash[:16]+".jsonl.gz") {
		t.Fatal(last)
	}
	_, anchors := r.objects("anchors")
	var newest audit.Head
	if err := json.Unmarshal([]byte(anchors[len(anchors)-1]), &newest); err != nil || newest != head {
		t.Fatal(newest, head, err)
	}
	left, _ := filepath.Glob(r.folder + "/*")
	if len(left) != 1 {
		t.Fatal("the newest segment alone stays:", left)
	}
	if got := r.metric("flameplane_gateway_audit_shipped_lines_total"); got != 5 {
		t.Fatal(got)
	}
	if problems, err := testutil.GatherAndLint(r.registry); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}

// After a kill, what was shipped but not deleted is shipped again under the same name, and adds nothing.
func TestAKilledReplicaShipsNothingTwice(t *testing.T) {
	r := newReplica(t)
	r.write("a")
	r.eventually("all lines in the store", func() bool { return r.journal.Lag() == 0 })
	before, _ := r.objects("lines")
	r.start() // the first one is left as it is
	r.write("b")
	r.stop()
	after, texts := r.objects("lines")
	if !slices.Equal(after[:len(before)], before) || strings.Count(strings.Join(texts, ""), "\n") != 5 {
		t.Fatal(before, after)
	}
}

func TestAStoreThatFailsIsTriedAgain(t *testing.T) {
	r := newReplica(t)
	r.store.Fail(true)
	r.write("a")
	r.eventually("failures of both kinds", func() bool {
		return r.shipper.Anchor(t.Context()) != nil && r.metric("flameplane_gateway_audit_ship_failures_total") > 2
	})
	if r.metric("flameplane_gateway_audit_lag_seconds") <= 0 {
		t.Fatal("nothing waits")
	}
	r.store.Fail(false)
	if err := r.shipper.Anchor(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.eventually("the line in the store", func() bool { return r.journal.Lag() == 0 })
	r.stop()
}

// A grant is used up after its anchor: that nothing is new does not say that the next line can be noted.
func TestAnAnchorAsksTheStoreThoughNothingIsNew(t *testing.T) {
	r := newReplica(t)
	for range 2 { // the second one is there already
		if err := r.shipper.Anchor(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.store.Fail(true)
	if err := r.shipper.Anchor(t.Context()); err == nil {
		t.Fatal("the store is down, and the newest line counts as noted")
	}
	r.store.Fail(false)
	r.stop()
}

func TestThoseWhoWaitTogetherShareAnAnchorThatCoversThemAll(t *testing.T) {
	r := newReplica(t)
	r.store.Slow(50 * time.Millisecond)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := r.journal.Write(t.Context(), &audit.Record{Request: "x"}); err != nil {
				t.Error(err)
			}
			mine := r.journal.Head().Seq // this line, or a later one
			if err := r.shipper.Anchor(t.Context()); err != nil {
				t.Error(err)
			}
			_, anchors := r.objects("anchors")
			var newest audit.Head
			if err := json.Unmarshal([]byte(anchors[len(anchors)-1]), &newest); err != nil || newest.Seq < mine {
				t.Error("line", mine, "and the newest anchor is of", newest.Seq, err)
			}
		})
	}
	group.Wait()
	if names, _ := r.objects("anchors"); len(names) > 25 {
		t.Fatal(len(names), "anchors for 50 lines at once")
	}
	r.stop()
}

func TestLinesThatVanishedFromTheDiskHoldNothingUp(t *testing.T) {
	r := newReplica(t)
	r.store.Fail(true)
	r.write("a")
	r.eventually("a failure", func() bool { return r.metric("flameplane_gateway_audit_ship_failures_total") > 0 })
	files, _ := filepath.Glob(r.folder + "/*")
	vanish(t, files[0])
	r.write("b")
	r.store.Fail(false)
	r.stop()
	_, texts := r.objects("lines")
	if text := strings.Join(texts, ""); !strings.Contains(text, `"stopped"`) || strings.Contains(text, `"started"`) {
		t.Fatal(text)
	}
}

// lost is a store whose client misses a file of its own, say the pod's token.
type lost struct{ times atomic.Int64 }

func (l *lost) Put(context.Context, string, []byte) error {
	l.times.Add(1)
	return fmt.Errorf("read the token: %w", os.ErrNotExist)
}

func TestAStoreThatMissesAFileLosesNoLines(t *testing.T) {
	r := &replica{t: t, folder: t.TempDir(), registry: prometheus.NewRegistry()}
	var err error
	r.journal, err = audit.Open(r.folder, "gateway-0", nil, audit.Limits{Segment: 1, Every: time.Hour, Budget: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r.write("a", "b")
	store := &lost{}
	r.shipper = audit.Ship(r.journal, store, "", audit.NewMetrics(r.registry, r.journal))
	r.eventually("attempts", func() bool { return store.times.Load() > 3 })
	if left := r.journal.Unshipped(); len(left) != 2 {
		t.Fatal(left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.shipper.Close(ctx); err == nil {
		t.Fatal("lines that did not leave are not said")
	}
}

func vanish(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
