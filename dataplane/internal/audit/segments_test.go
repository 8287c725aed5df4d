package audit

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// all is the text of a folder's segments, in the order of their lines.
func all(t *testing.T, folder string) []byte {
	t.Helper()
	files, err := segmentsOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	var found []byte
	for _, one := range files {
		text, err := os.ReadFile(one.Path)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, text...)
	}
	return found
}

// firsts are the numbers of each segment's first line.
func firsts(t *testing.T, folder string) string {
	t.Helper()
	files, err := segmentsOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, one := range files {
		found = append(found, strings.TrimLeft(strings.TrimSuffix(filepath.Base(one.Path)[6:], ".jsonl"), "0"))
	}
	return strings.Join(found, " ")
}

func TestASegmentIsClosedWhenItIsLargeOrOld(t *testing.T) {
	folder := t.TempDir()
	journal := open(t, folder, Limits{Segment: 450, Every: time.Hour, Budget: 1 << 20})
	for range 5 { // of some 200 bytes
		write(t, journal, map[string]any{})
	}
	if got := firsts(t, folder); got != "1 3 5" {
		t.Fatal("by size:", got)
	}
	journal.Rotate()
	if open := len(journal.Unshipped()); open != 2 {
		t.Fatal("closed before its time:", open)
	}
	journal.disk.limits.Every = 0
	journal.Rotate()
	if closed := journal.Unshipped(); len(closed) != 3 || closed[2].Last.Seq != 6 || closed[2].Lines() != 2 {
		t.Fatalf("by time: %+v", closed)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	if head := followed(t, all(t, folder)); head != journal.Head() || firsts(t, folder) != "1 3 5 7" {
		t.Fatal(head, firsts(t, folder))
	}
}

func TestOnlyWhatWasShippedIsDeletedAndNeverTheNewestLine(t *testing.T) {
	folder := t.TempDir()
	journal := open(t, folder, Limits{Segment: 1, Every: 0, Budget: 1 << 20}) // a segment for each line
	write(t, journal, map[string]any{})
	write(t, journal, map[string]any{})
	journal.Rotate()
	closed := journal.Unshipped()
	for _, step := range []struct {
		segment Segment
		left    string
	}{{closed[1], "1 2 3"}, {closed[0], "3"}, {closed[2], "3"}} {
		if journal.Shipped(step.segment); firsts(t, folder) != step.left {
			t.Fatalf("after line %d: %s, not %s", step.segment.First, firsts(t, folder), step.left)
		}
	}
	if journal.Lag() != 0 {
		t.Fatal("nothing waits, and yet:", journal.Lag())
	}
	head := write(t, journal, map[string]any{})
	if firsts(t, folder) != "4" || journal.Lag() == 0 || journal.Size() != int64(len(all(t, folder))) {
		t.Fatal(firsts(t, folder), journal.Lag(), journal.Size())
	}
	again := open(t, folder, roomy) // killed: it goes on from the one line that is left
	if next := again.Head(); next.Seq != head.Seq+1 {
		t.Fatal(next)
	}
}

func TestNothingIsWrittenBeyondTheBudgetAndTheGapIsSaid(t *testing.T) {
	folder := t.TempDir()
	journal := open(t, folder, Limits{Segment: 500, Every: 0, Budget: 1000})
	written := 1
	for {
		if _, err := journal.append(context.Background(), map[string]any{}, false); err != nil {
			if !strings.Contains(err.Error(), "1000 bytes, is used up") {
				t.Fatal(err)
			}
			break
		}
		written++
	}
	if _, err := journal.append(context.Background(), map[string]any{}, false); err == nil || journal.Size() > 1000 {
		t.Fatal("more than the budget:", err, journal.Size())
	}
	journal.Rotate()
	for _, segment := range journal.Unshipped()[:2] {
		journal.Shipped(segment)
	}
	if head := write(t, journal, map[string]any{}); int(head.Seq) != written+2 {
		t.Fatal(head, written)
	}
	if text := all(t, folder); !bytes.Contains(text, []byte(`"event":"resumed","unrecorded":2`)) {
		t.Fatalf("%s", text)
	}
	if err := journal.Close(); err != nil { // its last line is written whatever the budget
		t.Fatal(err)
	}
}

// Before a grant is used up the journal says whether it takes the record, and then it does.
func TestAPromisedRecordIsWrittenBeyondTheBudget(t *testing.T) {
	folder := t.TempDir()
	journal := open(t, folder, Limits{Segment: 500, Every: 0, Budget: 1000})
	first, late := &Record{Request: "first", Grant: "gift"}, &Record{Request: "late", Grant: "gift"}
	if err := journal.Promise(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for write := true; write; { // until no line fits, however short
		_, err := journal.append(t.Context(), map[string]any{}, false)
		write = err == nil
	}
	if err := journal.Promise(t.Context(), late); err == nil || journal.Write(t.Context(), late) == nil {
		t.Fatal("there is no room, and a record of that is promised or written", err)
	}
	if err := journal.Write(t.Context(), first); err != nil {
		t.Fatal("it was promised:", err)
	}
	text := all(t, folder)
	for _, want := range []string{`"event":"granting","request":"first","grant":"gift"`, `"uid":"first"`, `"unrecorded":2`} {
		if !bytes.Contains(text, []byte(want)) { // the promise that was not given is no decision
			t.Fatalf("%s is missing in %s", want, text)
		}
	}
}

func TestWithoutAStoreOldSegmentsMakeRoom(t *testing.T) {
	folder := t.TempDir()
	journal := open(t, folder, Limits{Segment: 500, Every: 0, Budget: 2000, Forget: true})
	for range 50 {
		write(t, journal, map[string]any{})
	}
	if journal.Size() > 2000 || journal.Size() < 1000 || journal.Head().Seq != 51 {
		t.Fatal(journal.Size(), journal.Head())
	}
	again := open(t, folder, roomy)
	if again.Head().Seq != 52 {
		t.Fatal(again.Head())
	}
}

// Evidence is not repaired: whatever does not hold, the gateway does not start over.
func TestAChangedFolderIsNoBeginning(t *testing.T) {
	for name, change := range map[string]func(folder string, file func(int) string) error{
		"a segment is gone":        func(_ string, file func(int) string) error { return os.Remove(file(2)) },
		"a torn one before others": func(_ string, file func(int) string) error { return os.Truncate(file(2), 100) },
		"an empty one before others": func(_ string, file func(int) string) error {
			return os.Truncate(file(2), 0)
		},
		"a changed line": func(_ string, file func(int) string) error {
			text, err := os.ReadFile(file(3))
			if err != nil {
				return err
			}
			return os.WriteFile(file(3), bytes.Replace(text, []byte(`"n":2`), []byte(`"n":3`), 1), 0o600)
		},
		"another name": func(folder string, file func(int) string) error {
			return os.Rename(file(3), filepath.Join(folder, segmentName(9)))
		},
		"nothing but an empty one": func(folder string, file func(int) string) error {
			for _, i := range []int{1, 2, 3} {
				if err := os.Remove(file(i)); err != nil {
					return err
				}
			}
			return os.WriteFile(file(4), nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			journal := open(t, folder, Limits{Segment: 1, Every: 0, Budget: 1 << 20})
			write(t, journal, map[string]any{"n": 1})
			write(t, journal, map[string]any{"n": 2})
			if err := change(folder, func(i int) string { return filepath.Join(folder, segmentName(uint64(i))) }); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(folder, "gateway-0", nil, roomy); err == nil || !strings.Contains(err.Error(), "chain-") {
				t.Fatal(err)
			}
		})
	}
	folder := t.TempDir()
	if err := open(t, folder, roomy).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, "gateway-1", nil, roomy); err == nil || !strings.Contains(err.Error(), "of the chain of gateway-0") {
		t.Fatal(err)
	}
}
