package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, journal *Journal, record any) Head {
	t.Helper()
	head, err := journal.append(context.Background(), record, false)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// roomy lets everything stand in one segment.
var roomy = Limits{Segment: 1 << 30, Every: time.Hour, Budget: 1 << 30}

func open(t *testing.T, folder string, limits Limits) *Journal {
	t.Helper()
	journal, err := Open(folder, "gateway-0", nil, limits)
	if err != nil {
		t.Fatal(err)
	}
	return journal
}

// begin is a log whose first segment is the file that is returned.
func begin(t *testing.T) (*Journal, string) {
	t.Helper()
	folder := t.TempDir()
	return open(t, folder, roomy), filepath.Join(folder, segmentName(1))
}

// followed is the last line of a whole chain.
func followed(t *testing.T, text []byte) Head {
	t.Helper()
	head, _, torn, err := follow(bytes.NewReader(text), Head{Replica: "gateway-0", Hash: genesis})
	if err != nil || torn != 0 {
		t.Fatalf("no chain: %d bytes torn, %v", torn, err)
	}
	return head
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestLinesOfManyWritersAreOneChain(t *testing.T) {
	folder := t.TempDir()
	var mirror bytes.Buffer
	journal, err := Open(folder, "gateway-0", &mirror, roomy)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 500 {
		group.Go(func() { write(t, journal, map[string]any{"n": i}) })
	}
	group.Wait()
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(lines(t, filepath.Join(folder, segmentName(1)))); got != 502 { // with started and stopped
		t.Fatalf("%d lines", got)
	}
	if head := followed(t, mirror.Bytes()); head != journal.Head() {
		t.Fatalf("the copy is another chain: %v", head)
	}
	if _, err := journal.append(context.Background(), 1, false); err == nil {
		t.Fatal("a closed journal takes lines")
	}
}

// slow is a copy that takes its time.
type slow struct {
	mutex sync.Mutex
	text  []byte
}

func (s *slow) Write(text []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.text = append(s.text, text...)
	return len(text), nil
}

func TestNobodyIsAnsweredBeforeTheCopyIsWritten(t *testing.T) {
	mirror := &slow{}
	journal, err := Open(t.TempDir(), "gateway-0", mirror, roomy)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	head := write(t, journal, map[string]any{})
	mirror.mutex.Lock()
	defer mirror.mutex.Unlock()
	if !bytes.Contains(mirror.text, []byte(head.Hash)) {
		t.Fatalf("the line is not in the copy: %s", mirror.text)
	}
}

func TestAChainGoesOnAfterAStop(t *testing.T) {
	folder := t.TempDir()
	for run := range 3 {
		journal := open(t, folder, roomy)
		if head := write(t, journal, map[string]any{"run": run}); head.Seq != uint64(run*3+2) {
			t.Fatalf("run %d has line %d", run, head.Seq)
		}
		if err := journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if head := followed(t, all(t, folder)); head.Seq != 9 {
		t.Fatalf("%v", head)
	}
}

func TestATornLineIsCutOffAndSaid(t *testing.T) {
	for name, before := range map[string]int{"in a segment": 1, "at the start of one": 0} {
		t.Run(name, func(t *testing.T) {
			journal, path := begin(t)
			if before == 0 {
				journal.disk.limits.Segment = 1 // each batch in a segment of its own
				path = filepath.Join(filepath.Dir(path), segmentName(3))
			}
			head := write(t, journal, map[string]any{"n": 1})
			_ = journal.disk.file.Close() // killed: no last line
			text, _ := os.ReadFile(path)
			if err := os.WriteFile(path, append(text, `{"chain":{"replica":"gate`...), 0o600); err != nil {
				t.Fatal(err)
			}
			again := open(t, filepath.Dir(path), roomy)
			defer again.Close()
			whole := all(t, filepath.Dir(path))
			if got := followed(t, whole); got.Seq != head.Seq+1 || !bytes.Contains(whole, []byte(`"torn_bytes":25`)) {
				t.Fatalf("%s", whole)
			}
		})
	}
}

func TestEveryChangeOfALineIsFound(t *testing.T) {
	journal, path := begin(t)
	for i := range 5 {
		write(t, journal, map[string]any{"n": i})
	}
	_ = journal.Close()
	whole := lines(t, path)
	check := func(name string, changed []string) {
		t.Helper()
		text := strings.Join(changed, "\n") + "\n"
		start := Head{Replica: "gateway-0", Hash: genesis}
		if _, _, torn, err := follow(strings.NewReader(text), start); err == nil && torn == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	for i := range whole {
		check(fmt.Sprintf("another value in line %d", i), replaced(whole, i, strings.Replace(whole[i], `"gateway-0"`, `"gateway-1"`, 1)))
		if i < len(whole)-1 { // the last one is found by anchors alone
			check(fmt.Sprintf("line %d left out", i), append(append([]string{}, whole[:i]...), whole[i+1:]...))
		}
		check(fmt.Sprintf("line %d twice", i), append(append(append([]string{}, whole[:i+1]...), whole[i]), whole[i+1:]...))
	}
	check("two lines changed over", append([]string{whole[1], whole[0]}, whole[2:]...))
}

func replaced(all []string, at int, with string) []string {
	found := append([]string{}, all...)
	found[at] = with
	return found
}

func TestADiskThatFailsIsSaidAndEndsTheChain(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("NOT RUN: no /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	journal, _ := begin(t)
	journal.disk.file = full
	for range 2 {
		if _, err := journal.append(context.Background(), map[string]any{}, false); err == nil {
			t.Fatal("a line that was not stored counts as written")
		}
	}
	if journal.Head().Seq != 1 {
		t.Fatal("the head is a line that does not exist")
	}
}

// full is a disk with room for a few bytes more, once.
type full struct{ *os.File }

func (f full) Write(text []byte) (int, error) {
	n, _ := f.File.Write(text[:10])
	return n, errors.New("no space left on device")
}

func TestAFullDiskIsSaidAndTheChainGoesOnWhenThereIsRoom(t *testing.T) {
	journal, path := begin(t)
	real := journal.disk.file.(*os.File)
	journal.disk.file = full{real}
	for range 2 {
		if _, err := journal.append(context.Background(), map[string]any{}, false); err == nil {
			t.Fatal("a line that was not stored counts as written")
		}
	}
	journal.disk.file = real
	head := write(t, journal, map[string]any{})
	text, _ := os.ReadFile(path)
	if followed(t, text) != head || head.Seq != 3 || !bytes.Contains(text, []byte(`"unrecorded":2`)) {
		t.Fatalf("%v %s", head, text)
	}
}
