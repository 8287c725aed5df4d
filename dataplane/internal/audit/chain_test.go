package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func write(t *testing.T, journal *Journal, record any) Head {
	t.Helper()
	head, err := journal.append(context.Background(), record)
	if err != nil {
		t.Fatal(err)
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
	path := filepath.Join(t.TempDir(), "chain.jsonl")
	var mirror bytes.Buffer
	journal, err := Open(path, "gateway-0", &mirror)
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
	if got := len(lines(t, path)); got != 502 { // with started and stopped
		t.Fatalf("%d lines", got)
	}
	head, _, torn, err := recoverHead(bytes.NewReader(mirror.Bytes()), "gateway-0")
	if err != nil || torn != 0 || head != journal.Head() {
		t.Fatalf("the copy is another chain: %v %v %v", head, torn, err)
	}
	if _, err := journal.append(context.Background(), 1); err == nil {
		t.Fatal("a closed journal takes lines")
	}
}

func TestAChainGoesOnAfterAStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chain.jsonl")
	for run := range 3 {
		journal, err := Open(path, "gateway-0", nil)
		if err != nil {
			t.Fatal(err)
		}
		if head := write(t, journal, map[string]any{"run": run}); head.Seq != uint64(run*3+2) {
			t.Fatalf("run %d has line %d", run, head.Seq)
		}
		if err := journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATornLineIsCutOffAndSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chain.jsonl")
	journal, err := Open(path, "gateway-0", nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, journal, map[string]any{"n": 1})
	_ = journal.file.Close() // killed: no last line
	text, _ := os.ReadFile(path)
	if err := os.WriteFile(path, append(text, `{"chain":{"replica":"gate`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path, "gateway-0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if all := lines(t, path); len(all) != 3 || !strings.Contains(all[2], `"torn_bytes":25`) {
		t.Fatalf("%q", all)
	}
}

func TestEveryChangeOfALineIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chain.jsonl")
	journal, err := Open(path, "gateway-0", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		write(t, journal, map[string]any{"n": i})
	}
	_ = journal.Close()
	whole := lines(t, path)
	check := func(name string, changed []string) {
		t.Helper()
		text := strings.Join(changed, "\n") + "\n"
		if _, _, torn, err := recoverHead(strings.NewReader(text), "gateway-0"); err == nil && torn == 0 {
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

func TestAFullDiskIsSaidAndEndsTheChain(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("NOT RUN: no /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	journal := &Journal{file: full, queue: make(chan *entry, 1), done: make(chan struct{}), head: Head{Replica: "x", Hash: genesis}}
	go journal.run()
	for range 2 {
		if _, err := journal.append(context.Background(), map[string]any{}); err == nil {
			t.Fatal("a line that was not stored counts as written")
		}
	}
	if journal.Head().Seq != 0 {
		t.Fatal("the head is a line that does not exist")
	}
}
