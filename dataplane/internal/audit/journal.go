package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Journal is a replica's chain on its disk, in segments. Lines are synced before Write returns; those that wait at the
// same moment share one sync.
type Journal struct {
	disk   disk
	mirror io.Writer // standard output: the cluster's log collector takes it from there
	queue  chan *entry
	done   chan struct{}
	closed sync.RWMutex
	shut   bool

	mutex  sync.Mutex // of the disk and what follows
	head   Head
	missed int   // decisions that could not be written since the last one that could
	broken error // after a failed write that could not be taken back the file's end is unknown: no line can follow
}

// Limits of what a journal keeps on its disk.
type Limits struct {
	Segment int64         // bytes after which a segment is closed
	Every   time.Duration // and time
	Budget  int64         // bytes of all segments: with more, nothing can be written
	Forget  bool          // nobody ships them: beyond the budget the oldest segment goes
}

type entry struct {
	record any
	always bool // beyond the budget too
	head   chan<- result
}

type result struct {
	head Head
	err  error
}

const mostTogether = 256 // lines of one sync

// Open goes on with the chain in “folder“, or begins one, in a segment of its own. The place of a torn last line is taken
// by a line that says so.
func Open(folder, replica string, mirror io.Writer, limits Limits) (*Journal, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	left, err := recoverChain(folder, replica)
	if err != nil {
		return nil, fmt.Errorf("the audit log is not what was written, and is not repaired (keep the folder as evidence, "+
			"and let another replica begin a chain of its own): %w", err)
	}
	journal := &Journal{
		disk: newDisk(folder, limits, left.segments), mirror: mirror, head: left.head,
		queue: make(chan *entry, mostTogether), done: make(chan struct{}),
	}
	go journal.run()
	began := map[string]any{"event": "started"}
	if left.torn > 0 {
		began["torn_bytes"] = left.torn
	}
	if _, err := journal.append(context.Background(), began, true); err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	return journal, nil
}

// Write puts a decision on record: when it returns without error, its line is on disk.
func (j *Journal) Write(ctx context.Context, record *Record) error {
	_, err := j.append(ctx, record.line(), record.promised)
	return err
}

// promise is the line that a grant is about to be used up.
type promise struct {
	Event   string `json:"event"`
	Request string `json:"request"`
	Grant   string `json:"grant"`
}

// Promise puts on record that a record's grant is about to be used up. Where that works, the disk takes lines, and the
// record itself may then go beyond the budget: a grant that is used up is on record.
func (j *Journal) Promise(ctx context.Context, record *Record) error {
	_, err := j.append(ctx, promise{"granting", record.Request, record.Grant}, false)
	record.promised = err == nil
	return err
}

// append adds a line; the head is that line.
func (j *Journal) append(ctx context.Context, record any, always bool) (Head, error) {
	answer := make(chan result, 1)
	j.closed.RLock()
	if j.shut {
		j.closed.RUnlock()
		return Head{}, errors.New("the journal is closed")
	}
	select {
	case j.queue <- &entry{record, always, answer}:
		j.closed.RUnlock()
	case <-ctx.Done():
		j.closed.RUnlock()
		return Head{}, ctx.Err()
	}
	found := <-answer
	return found.head, found.err
}

// Head is the newest line.
func (j *Journal) Head() Head {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.head
}

// Rotate closes the open segment if its time is over, so that it can be shipped.
func (j *Journal) Rotate() {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.disk.over() {
		j.disk.rotate()
	}
}

// Unshipped are the closed segments that have not left yet, oldest first.
func (j *Journal) Unshipped() []Segment {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.disk.unshipped()
}

// Shipped says that a segment is kept elsewhere now. Its file goes as soon as there are lines after it: the newest line
// stays on disk, since the chain goes on from there.
func (j *Journal) Shipped(segment Segment) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.disk.shipped(segment.First)
}

// Lag is for how long the oldest line that was not shipped has waited.
func (j *Journal) Lag() time.Duration {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if oldest := j.disk.oldest(); oldest != nil {
		return time.Since(oldest.Began)
	}
	return 0
}

// Size is how many bytes of the disk the chain takes.
func (j *Journal) Size() int64 {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.disk.size
}

// Close ends the chain with a line that says so: after it, a missing line was cut off.
func (j *Journal) Close() error {
	_, err := j.append(context.Background(), map[string]any{"event": "stopped"}, true)
	j.closed.Lock()
	if j.shut {
		j.closed.Unlock()
		return err
	}
	j.shut = true
	close(j.queue)
	j.closed.Unlock()
	<-j.done
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.disk.rotate()
	return err
}

func (j *Journal) run() {
	defer close(j.done)
	for first := range j.queue {
		batch := []*entry{first}
	more:
		for len(batch) < mostTogether {
			select {
			case next, ok := <-j.queue:
				if !ok {
					break more
				}
				batch = append(batch, next)
			default:
				break more
			}
		}
		j.commit(batch)
	}
}

func (j *Journal) commit(batch []*entry) {
	text, heads, err := j.written(batch)
	if err == nil && j.mirror != nil { // before anybody is answered: where the pod goes with its disk, the copy is what is left
		_, _ = j.mirror.Write(text) // whether it arrives is the log collector's matter
	}
	for i, one := range batch {
		if err != nil {
			one.head <- result{err: err}
		} else {
			one.head <- result{head: heads[i]}
		}
	}
}

// written stores the lines of a batch. After lines that could not be stored, the first that can says how many.
func (j *Journal) written(batch []*entry) ([]byte, []Head, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	head, text, heads, always, err := j.head, []byte(nil), make([]Head, 0, len(batch)), false, j.broken
	add := func(record any) {
		var line []byte
		if err == nil {
			line, head, err = head.next(record)
			text = append(append(text, line...), '\n')
		}
	}
	if j.missed > 0 {
		add(map[string]any{"event": "resumed", "unrecorded": j.missed})
	}
	for _, one := range batch {
		add(one.record)
		heads, always = append(heads, head), always || one.always
	}
	if err == nil && !always {
		err = j.disk.fits(int64(len(text)))
	}
	if err == nil {
		err = j.disk.append(text, j.head.Seq+1, head)
		if errors.Is(err, errHalfWritten) {
			j.broken = err
		}
	}
	if err != nil {
		for _, one := range batch {
			if _, only := one.record.(promise); !only { // its request is refused, and that is the decision
				j.missed++
			}
		}
		return nil, nil, err
	}
	j.head, j.missed = head, 0
	return text, heads, nil
}
