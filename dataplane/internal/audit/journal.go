package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Journal is a replica's chain on its disk. Lines are synced before Write returns; those that wait at the same moment
// share one sync.
type Journal struct {
	path   string
	mirror io.Writer // standard output: the cluster's log collector takes it from there
	file   *os.File
	queue  chan *entry
	done   chan struct{}
	closed sync.RWMutex
	shut   bool
	mutex  sync.Mutex
	head   Head
	broken error // after a failed write the file's end is unknown: no line can follow
}

type entry struct {
	record any
	head   chan<- result
}

type result struct {
	head Head
	err  error
}

const mostTogether = 256 // lines of one sync

// Open goes on with the chain of “path“, or begins one. A torn last line is cut off and its place taken by a line that
// says so; anything else that does not hold is an error: the chain is evidence, and is never repaired.
func Open(path, replica string, mirror io.Writer) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	head, whole, torn, err := recoverHead(file, replica)
	if err == nil && torn > 0 {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	journal := &Journal{path: path, mirror: mirror, file: file, queue: make(chan *entry, mostTogether), done: make(chan struct{}), head: head}
	go journal.run()
	began := map[string]any{"event": "started"}
	if torn > 0 {
		began["torn_bytes"] = torn
	}
	if _, err := journal.append(context.Background(), began); err != nil {
		journal.Close()
		return nil, err
	}
	return journal, nil
}

// recoverHead reads a chain to its end: the head, the length of its whole lines, and the bytes behind those.
func recoverHead(file io.Reader, replica string) (Head, int64, int64, error) {
	head := Head{Replica: replica, Hash: genesis}
	var whole int64
	lines := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return head, whole, int64(len(text)), nil
		}
		if err != nil {
			return head, whole, 0, err
		}
		found, hash, err := read(bytes.TrimSuffix(text, []byte("\n")))
		if err == nil && (found.Seq != head.Seq+1 || found.Prev != head.Hash) {
			err = errors.New("it does not follow the line before it")
		}
		if err != nil {
			return head, whole, 0, fmt.Errorf("line %d: %w", number, err)
		}
		head = Head{found.Replica, found.Seq, hash}
		whole += int64(len(text))
	}
}

// Write puts a decision on record: when it returns without error, its line is on disk.
func (j *Journal) Write(ctx context.Context, record *Record) error {
	_, err := j.append(ctx, record.line())
	return err
}

// append adds a line; the head is that line.
func (j *Journal) append(ctx context.Context, record any) (Head, error) {
	answer := make(chan result, 1)
	j.closed.RLock()
	if j.shut {
		j.closed.RUnlock()
		return Head{}, errors.New("the journal is closed")
	}
	select {
	case j.queue <- &entry{record, answer}:
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

// Close ends the chain with a line that says so: after it, a missing line was cut off.
func (j *Journal) Close() error {
	_, err := j.append(context.Background(), map[string]any{"event": "stopped"})
	j.closed.Lock()
	if j.shut {
		j.closed.Unlock()
		return err
	}
	j.shut = true
	close(j.queue)
	j.closed.Unlock()
	<-j.done
	return errors.Join(err, j.file.Close())
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
	head, text := j.Head(), []byte(nil)
	heads := make([]Head, 0, len(batch))
	err := j.broken
	for _, one := range batch {
		var line []byte
		var next Head
		if err != nil {
			break
		}
		if line, next, err = head.next(one.record); err == nil {
			head, heads, text = next, append(heads, next), append(append(text, line...), '\n')
		}
	}
	if err == nil {
		if err = j.store(text); err != nil {
			j.broken = err
		}
	}
	if err != nil {
		for _, one := range batch {
			one.head <- result{err: err}
		}
		return
	}
	j.mutex.Lock()
	j.head = head
	j.mutex.Unlock()
	for i, one := range batch {
		one.head <- result{head: heads[i]}
	}
	if j.mirror != nil {
		_, _ = j.mirror.Write(text) // a copy: whether it arrives is the log collector's matter
	}
}

func (j *Journal) store(text []byte) error {
	if _, err := j.file.Write(text); err != nil {
		return err
	}
	return j.file.Sync()
}
