package door

import (
	"context"
	"errors"
	"sync"

	"flameplane.dev/dataplane/internal/audit"
)

// journal keeps records, or fails.
type journal struct {
	mutex   sync.Mutex
	records []audit.Record
	full    bool
}

func (j *journal) Write(_ context.Context, record *audit.Record) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.full {
		return errors.New("no space left on device")
	}
	j.records = append(j.records, *record)
	return nil
}

func (j *journal) Promise(context.Context, *audit.Record) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.full {
		return errors.New("no space left on device")
	}
	return nil
}

func (j *journal) all() []audit.Record {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return append([]audit.Record{}, j.records...)
}

// anchors stand for the shipper: they note how many records there were, or fail after some.
type anchors struct {
	of    *journal
	mutex sync.Mutex
	noted []int
	fail  bool
	after int // that many that work
}

func (a *anchors) Anchor(context.Context) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.fail && a.after == 0 {
		return errors.New("the object store cannot be reached")
	}
	a.after--
	a.noted = append(a.noted, len(a.of.all()))
	return nil
}
