// Package push sends profiles to the gateway by push.v1, one request for each team and flush, and keeps what cannot be
// sent yet within bounds.
package push

import (
	"sync"

	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
)

// request is what one team gets in one flush.
type request struct {
	message *pushv1.PushRequest
	bytes   int
	series  int
	samples uint64
	tries   int
}

// queue is first in, first out, up to a number of bytes. The oldest gives way: the newest is what is looked at.
type queue struct {
	mutex   sync.Mutex
	waiting []*request
	bytes   int
	limit   int
	filled  chan struct{} // holds one where there may be something to take
}

func newQueue(limit int) *queue { return &queue{limit: limit, filled: make(chan struct{}, 1)} }

// add returns what was dropped for it.
func (q *queue) add(one *request) (dropped []*request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = append(q.waiting, one)
	q.bytes += one.bytes
	for q.bytes > q.limit && len(q.waiting) > 0 {
		dropped = append(dropped, q.waiting[0])
		q.bytes -= q.waiting[0].bytes
		q.waiting = q.waiting[1:]
	}
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return dropped
}

// first is the oldest, which stays until it is done with.
func (q *queue) first() *request {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[0]
}

// done takes it off; it may have given way already.
func (q *queue) done(one *request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for i, each := range q.waiting {
		if each == one {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			q.bytes -= one.bytes
			return
		}
	}
}

func (q *queue) size() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.bytes
}
