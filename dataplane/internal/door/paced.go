package door

import (
	"context"
	"io"
)

// received is a body as it comes, at the pace of who sends it.
type received struct {
	io.Reader
	visit *visit
	ctx   context.Context
	noted int64
	ahead int64 // of it, for what is yet to come
}

func (r *received) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	bytes := int64(n) * rawWeight
	known := min(bytes, r.ahead)
	r.ahead -= known
	if refused := r.room(bytes - known); refused != nil {
		return 0, refused
	}
	return n, err
}

// expects makes room for all that a body says it has, before any of it is read: three large ones with their parts in hand
// would wait for each other, and none would end.
func (r *received) expects(length int64) error {
	r.ahead = max(length, 0) * rawWeight
	return r.room(r.ahead)
}

func (r *received) room(bytes int64) error {
	of := r.visit.holding.of
	if !r.visit.holding.patiently(r.ctx, func() bool { return of.waits(r.visit.asker(), r, bytes) }) {
		return crowded()
	}
	r.noted += bytes
	return r.visit.holding.take(r.ctx, bytes, false)
}

// end is once all of it is there, or nobody waits for it any more.
func (r *received) end() { r.visit.holding.of.came(r.visit.asker(), r, r.noted) }

// asks notes what a question holds while the backend looks for an answer, which can take minutes: whoever asks much would
// hold up all others. It has no help of the reserve for the same reason. A push is stored at once.
func (v *visit) asks(ctx context.Context, bytes int64) error {
	of := v.holding.of
	if v.pushes() {
		return nil
	}
	if !v.holding.patiently(ctx, func() bool { return of.waits(v.asker(), v, bytes) }) {
		return crowded()
	}
	v.asking += bytes
	return nil
}

// answered ends it.
func (v *visit) answered() { v.holding.of.came(v.asker(), v, v.asking) }

// asker counts apart from who leaves answers unread: what it asks for is to be read all the same, and goes on record as it
// is.
func (v *visit) asker() string { return "asking " + v.caller() }

func (v *visit) pushes() bool { return v.record.Operation == operationPush }

func crowded() error {
	return refuse(tooMuch, "memory", "too many requests of yours are under way; end them first")
}
