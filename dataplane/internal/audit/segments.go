package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Segment is one file of a chain, which holds its lines from First to Last.
type Segment struct {
	Path  string
	First uint64
	Last  Head
	Size  int64
	Began time.Time // when its first line was written; of one that was found, when its last was

	shipped bool
}

// Lines of the segment.
func (s Segment) Lines() uint64 { return s.Last.Seq - s.First + 1 }

var segmentPattern = regexp.MustCompile(`^chain-([0-9]{12,20})\.jsonl$`)

func segmentName(first uint64) string { return fmt.Sprintf("chain-%012d.jsonl", first) }

// found is what a replica left on its disk.
type found struct {
	segments []*Segment // with whole lines, oldest first
	head     Head
	torn     int64 // bytes of a last line that was not finished, which was cut off
}

// recoverChain reads a folder to the end of its chain. A torn last line of the newest segment is cut off; anything else
// that does not hold is an error: the chain is evidence, and is never repaired. Earlier segments may be gone, since what
// was shipped is deleted, so the oldest line may name a predecessor that is not there.
func recoverChain(folder, replica string) (found, error) {
	all := found{head: Head{Replica: replica, Hash: genesis}}
	files, err := segmentsOf(folder)
	if err != nil {
		return all, err
	}
	for i, one := range files {
		if i == 0 && one.First > 1 {
			all.head = Head{Replica: replica, Seq: one.First - 1} // whose hash is not known any more
		}
		if one.First != all.head.Seq+1 {
			return all, fmt.Errorf("%s: it does not follow line %d, the last before it", one.Path, all.head.Seq)
		}
		head, torn, err := one.read(all.head)
		if err == nil && torn > 0 && i < len(files)-1 {
			err = errors.New("its last line is not whole, and more follow")
		}
		if err == nil && torn > 0 {
			err = os.Truncate(one.Path, one.Size)
		}
		if err != nil {
			return all, fmt.Errorf("%s: %w", one.Path, err)
		}
		all.head, all.torn = head, torn
		if one.Last = head; one.Size > 0 {
			all.segments = append(all.segments, one)
		}
	}
	if all.head.Hash == "" {
		return all, fmt.Errorf("%s: it holds no line, and those before it are gone", files[0].Path)
	}
	return all, nil
}

func segmentsOf(folder string) ([]*Segment, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []*Segment
	for _, entry := range entries {
		name := segmentPattern.FindStringSubmatch(entry.Name())
		if name == nil {
			continue
		}
		first, err := strconv.ParseUint(name[1], 10, 64)
		if err != nil || first == 0 {
			return nil, fmt.Errorf("%s: no line has that number", entry.Name())
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, &Segment{Path: filepath.Join(folder, entry.Name()), First: first, Began: info.ModTime()})
	}
	slices.SortFunc(all, func(a, b *Segment) int { return int(min(max(int64(a.First)-int64(b.First), -1), 1)) })
	return all, nil
}

// read goes through the lines of a segment's file and notes the length of the whole ones.
func (s *Segment) read(after Head) (Head, int64, error) {
	file, err := os.Open(s.Path)
	if err != nil {
		return after, 0, err
	}
	defer file.Close()
	head, whole, torn, err := follow(file, after)
	s.Size = whole
	return head, torn, err
}

// follow reads lines to their end: the last one, the length of the whole ones, and the bytes behind those. Where the
// hash of the line before is not known, the first line is believed.
func follow(file io.Reader, head Head) (Head, int64, int64, error) {
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
		link, hash, err := read(bytes.TrimSuffix(text, []byte("\n")))
		switch {
		case err != nil:
		case link.Replica != head.Replica:
			err = fmt.Errorf("it is of the chain of %s, not of %s", link.Replica, head.Replica)
		case link.Seq != head.Seq+1 || head.Hash != "" && link.Prev != head.Hash:
			err = errors.New("it does not follow the line before it")
		}
		if err != nil {
			return head, whole, 0, fmt.Errorf("line %d: %w", number, err)
		}
		head = Head{link.Replica, link.Seq, hash}
		whole += int64(len(text))
	}
}
