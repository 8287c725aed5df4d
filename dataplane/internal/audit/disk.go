package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// disk is the segments of a chain: closed ones, oldest first, and the one that is written to.
type disk struct {
	folder string
	limits Limits
	closed []*Segment
	open   *Segment // none until it has a line
	file   file
	size   int64
}

// file is the part of an os.File that a segment needs.
type file interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// errHalfWritten is a write that failed in its middle and could not be taken back.
var errHalfWritten = errors.New("the end of the file is unknown")

func newDisk(folder string, limits Limits, segments []*Segment) disk {
	all := disk{folder: folder, limits: limits, closed: segments}
	for _, one := range segments {
		all.size += one.Size
	}
	return all
}

// fits says whether there is room. Where nobody ships the segments, the oldest make room.
func (d *disk) fits(more int64) error {
	for d.limits.Forget && d.size+more > d.limits.Budget && d.removable() && d.remove() {
	}
	if d.size+more > d.limits.Budget {
		return fmt.Errorf("the log's share of the disk, %d bytes, is used up by lines that were not shipped", d.limits.Budget)
	}
	return nil
}

// append stores lines from “first“ to “last“ and syncs them. A new segment's file is made with its first line.
func (d *disk) append(text []byte, first uint64, last Head) error {
	if d.open != nil && (d.over() || d.open.Size+int64(len(text)) > d.limits.Segment) {
		d.rotate()
	}
	open := d.open
	if open == nil {
		open = &Segment{Path: filepath.Join(d.folder, segmentName(first)), First: first, Began: time.Now()}
		file, err := os.OpenFile(open.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		d.file = file
	}
	_, err := d.file.Write(text)
	if err == nil {
		err = d.file.Sync()
	}
	if err == nil && d.open == nil {
		err = syncFolder(d.folder)
	}
	if err != nil {
		return errors.Join(err, d.undo(open))
	}
	open.Size, open.Last, d.open = open.Size+int64(len(text)), last, open
	d.size += int64(len(text))
	d.sweep()
	return nil
}

// undo takes back what is left of lines that nobody was answered on.
func (d *disk) undo(open *Segment) error {
	err := d.file.Truncate(open.Size)
	if err == nil {
		err = d.file.Sync()
	}
	if d.open == nil {
		_ = d.file.Close()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errHalfWritten, err)
	}
	return nil
}

// syncFolder makes the name of a new file last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func (d *disk) over() bool { return d.open != nil && time.Since(d.open.Began) >= d.limits.Every }

func (d *disk) rotate() {
	if d.open == nil {
		return
	}
	_ = d.file.Close() // it is synced
	d.closed, d.open, d.file = append(d.closed, d.open), nil, nil
}

func (d *disk) unshipped() []Segment {
	var found []Segment
	for _, one := range d.closed {
		if !one.shipped {
			found = append(found, *one)
		}
	}
	return found
}

func (d *disk) oldest() *Segment {
	if i := slices.IndexFunc(d.closed, func(s *Segment) bool { return !s.shipped }); i >= 0 {
		return d.closed[i]
	}
	return d.open
}

func (d *disk) shipped(first uint64) {
	if i := slices.IndexFunc(d.closed, func(s *Segment) bool { return s.First == first }); i >= 0 {
		d.closed[i].shipped = true
	}
	d.sweep()
}

func (d *disk) sweep() {
	for d.removable() && d.closed[0].shipped && d.remove() {
	}
}

// removable says whether the oldest segment is not also the newest: the head has to stay.
func (d *disk) removable() bool { return len(d.closed) > 1 || len(d.closed) == 1 && d.open != nil }

// remove deletes the oldest segment. One that cannot be deleted stays, and with it those after it: no gap is made.
func (d *disk) remove() bool {
	if err := os.Remove(d.closed[0].Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false
	}
	d.size -= d.closed[0].Size
	d.closed = d.closed[1:]
	return true
}
