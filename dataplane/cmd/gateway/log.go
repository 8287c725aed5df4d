package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/audit"
	"flameplane.dev/dataplane/internal/door"
	"flameplane.dev/dataplane/internal/objects"
	"flameplane.dev/dataplane/internal/settings"
)

// What the audit log may take of the disk: the pod's volume is 1Gi, and beyond that the pod is evicted, log and all.
const (
	auditBudget  = 768 << 20
	auditSegment = 32 << 20
	farewell     = 20 * time.Second // for the last lines to leave; with the times to drain and to settle, within the pod's grace period
)

// trail is the audit log: a journal on this disk, and what ships it where there is a bucket.
type trail struct {
	journal *audit.Journal
	shipper *audit.Shipper
}

// openLog goes on with the log. Without a bucket, the copy on standard output is the only one that leaves the pod, and
// old segments make room for new ones.
func openLog(
	ctx context.Context, o options, bucket *settings.AuditBucket, records io.Writer, registry prometheus.Registerer,
) (*trail, error) {
	limits := audit.Limits{Segment: auditSegment, Budget: auditBudget, Every: o.every}
	if bucket == nil {
		limits.Forget, limits.Every = true, time.Hour
	}
	var store audit.Store
	if bucket != nil {
		var err error
		if store, err = objects.NewBucket(ctx, *bucket); err != nil {
			return nil, err
		}
	}
	journal, err := audit.Open(o.audit, o.replica, records, limits)
	if err != nil {
		return nil, err
	}
	audit.RegisterDisk(registry, journal)
	log := &trail{journal: journal}
	if store != nil {
		log.shipper = audit.Ship(journal, store, bucket.Prefix, audit.NewMetrics(registry, journal))
	}
	return log, nil
}

// anchors are what whole profiles wait for: none without a bucket.
func (t *trail) anchors() door.Anchors {
	if t.shipper == nil {
		return nil
	}
	return t.shipper
}

func (t *trail) close() {
	if err := t.journal.Close(); err != nil {
		slog.Error("the end of the audit log is not on record", "err", err)
	}
	if t.shipper == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := t.shipper.Close(ctx); err != nil {
		slog.Error("lines of the audit log are on this disk alone", "err", err)
	}
}
