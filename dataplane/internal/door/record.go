package door

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"flameplane.dev/dataplane/internal/grants"
)

// use uses a decision's grant up, after the answer is at hand: neither a backend that fails nor a record that could not
// leave costs anybody a grant.
func (d *Door) use(ctx context.Context, v *visit, decision Decision) error {
	if decision.Grant == nil {
		return nil
	}
	if !d.Now().Before(decision.Grant.Spec.Expires) {
		v.record.Allowed = false
		return refuse(forbidden, "grant-mismatch", "the grant ended while the backend answered")
	}
	if err := d.Journal.Promise(ctx, &v.record); err != nil {
		slog.Error("the audit log takes no lines", "request", v.record.Request, "err", err)
		return unrecorded()
	}
	if err := d.anchor(ctx, v); err != nil {
		return err
	}
	err := d.Grants.Use(ctx, decision.Grant, v.record.Request)
	switch {
	case errors.Is(err, grants.ErrUsed):
		v.record.Allowed = false
		return refuse(forbidden, "grant-used", "the grant was used already")
	case err != nil:
		v.record.Allowed = false
		slog.Error("a grant cannot be used up", "grant", decision.Grant.Name(), "err", err)
		return refuse(unavailable, "grant-store", "the grant cannot be used up right now; nothing was read")
	}
	return nil
}

// settle completes the record and writes it. A whole profile waits until that line is noted outside as well; where that
// fails, a second line of the same request says that it stayed here.
func (d *Door) settle(v *visit, answer *held, r *http.Request, received int64, start time.Time) {
	ctx := context.WithoutCancel(r.Context())
	if v.record.Rule == "" { // the protocol's own refusals come before anything could be decided
		v.record.Rule = "protocol"
	}
	v.record.Received, v.record.Duration = received, d.Now().Sub(start)
	leaves := v.kind == Export && v.record.Allowed
	err := d.put(ctx, v, answer)
	written := err == nil
	if written && leaves {
		err = d.anchor(ctx, v)
	}
	if err != nil && leaves {
		*answer = *newHeld()
		d.refused(answer, r, unrecorded())
		if written {
			_ = d.put(ctx, v, answer)
		}
	}
	d.Metrics.count(&v.record)
}

// put writes the record of an answer.
func (d *Door) put(ctx context.Context, v *visit, answer *held) error {
	answer.WriteHeader(http.StatusOK)
	v.record.Status, v.record.Bytes, v.record.SHA256 = answer.status, answer.body.Len(), answer.sum()
	err := d.Journal.Write(ctx, &v.record)
	if err != nil {
		slog.Error("the audit record cannot be written", "request", v.record.Request, "err", err)
		d.Metrics.AuditErrors.Inc()
	}
	return err
}

// anchor returns once everything on record so far is noted outside.
func (d *Door) anchor(ctx context.Context, v *visit) error {
	if d.Anchors == nil {
		return nil
	}
	if err := d.Anchors.Anchor(ctx); err != nil {
		slog.Error("the audit record cannot be noted outside", "request", v.record.Request, "err", err)
		return unrecorded()
	}
	return nil
}

func unrecorded() error {
	return refuse(unavailable, "audit", "whole profiles leave only on record, and the record cannot be kept safe right now")
}
