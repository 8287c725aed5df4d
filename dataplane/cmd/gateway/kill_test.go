package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flameplane.dev/dataplane/internal/audit"
)

// answer is what a client has in its hands.
type answer struct {
	status int
	whole  bool // a whole profile, if the status is 200
}

// answers by the id of their requests.
type answers struct {
	mutex sync.Mutex
	all   map[string]answer
	sent  int
	kinds map[int]int
}

// load asks from several connections at once until “stop“ is closed or the gateway is gone.
func (a *answers) load(s *site, calls []call, stop <-chan struct{}) *sync.WaitGroup {
	var group sync.WaitGroup
	for i := range 12 {
		client := &http.Client{Transport: &http.Transport{}}
		group.Go(func() {
			defer client.CloseIdleConnections()
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				one := calls[n%len(calls)]
				a.mutex.Lock()
				a.sent++
				a.mutex.Unlock()
				status, id, err := s.ask(client, one)
				if err != nil {
					return // killed: nobody was answered
				}
				a.mutex.Lock()
				a.all[id] = answer{status, one.whole}
				a.kinds[status]++
				a.mutex.Unlock()
			}
		})
	}
	return &group
}

type written struct {
	Chain struct {
		Seq uint64 `json:"seq"`
	} `json:"chain"`
	Event   string `json:"event"`
	Torn    int    `json:"torn_bytes"`
	Request struct {
		UID string `json:"uid"`
	} `json:"http_request"`
}

func parse(t *testing.T, text []byte) []written {
	t.Helper()
	var all []written
	for line := range bytes.Lines(text) {
		var one written
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // torn
		}
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// shipped are the lines in the store and the newest anchor.
func (s *site) shipped() ([]byte, audit.Head) {
	s.t.Helper()
	all := s.store.Objects()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var text []byte
	var newest audit.Head
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "gateway/anchors/"):
			if err := json.Unmarshal(all[name], &newest); err != nil {
				s.t.Fatal(err)
			}
		default:
			packed, err := gzip.NewReader(bytes.NewReader(all[name]))
			if err != nil {
				s.t.Fatal(err)
			}
			var plain bytes.Buffer
			if _, err := bufio.NewReader(packed).WriteTo(&plain); err != nil {
				s.t.Fatal(err)
			}
			text = append(text, plain.Bytes()...)
		}
	}
	return text, newest
}

// onRecord are the lines of the disk and of the store together, by the id of their request.
func (s *site) onRecord() map[string]map[uint64]bool {
	s.t.Helper()
	var all []written
	files, _ := filepath.Glob(s.audit() + "/*")
	for _, path := range files {
		text, err := os.ReadFile(path) // one that is gone by now is in the store
		if err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
		all = append(all, parse(s.t, text)...)
	}
	text, _ := s.shipped()
	all = append(all, parse(s.t, text)...)
	found := map[string]map[uint64]bool{}
	for _, one := range all {
		if id := one.Request.UID; id != "" {
			if found[id] == nil {
				found[id] = map[uint64]bool{}
			}
			found[id][one.Chain.Seq] = true
		}
	}
	return found
}

// check holds every answer against the record: one line for each, and for each whole profile an anchor behind it.
func (a *answers) check(s *site) {
	s.t.Helper()
	onRecord := s.onRecord()
	_, anchor := s.shipped()
	for id, one := range a.all {
		seqs, wanted := onRecord[id], 1
		if one.status == http.StatusServiceUnavailable { // a store that was too slow: the second line takes the first back
			wanted = 2
		}
		if len(seqs) != wanted {
			s.t.Fatalf("the answered request %q (%+v) has %d lines", id, one, len(seqs))
		}
		for seq := range seqs {
			if one.whole && one.status == http.StatusOK && seq > anchor.Seq {
				s.t.Fatalf("a whole profile left with line %d, and the newest anchor is of %d", seq, anchor.Seq)
			}
		}
	}
	if len(onRecord) > a.sent {
		s.t.Fatalf("%d requests are on record, and %d were sent", len(onRecord), a.sent)
	}
}

// The gateway is killed again and again while it answers. What clients have in their hands is on record; the chain goes
// on each time, says what was torn, and arrives in the store as one. Disk and kernel live on: what a power failure does
// to a disk, this cannot prove.
func TestAKilledGatewayHasAnsweredNothingThatIsNotOnRecord(t *testing.T) {
	s := newSite(t)
	calls, all := s.calls(), &answers{all: map[string]answer{}, kinds: map[int]int{}}
	const kills = 6
	torn := 0 // bytes of lines that were cut off, by the kills and by hand
	for round := range kills {
		s.start()
		stop := make(chan struct{})
		group := all.load(s, calls, stop)
		time.Sleep(time.Second/5 + rand.N(time.Second/2))
		if err := s.end(os.Kill); err == nil {
			t.Fatal("it ended by itself")
		}
		group.Wait()
		all.check(s)
		torn += s.tear(round%2 == 1)
	}
	s.start()
	stop := make(chan struct{})
	before, answered := len(s.onRecord()), len(all.all)
	group := all.load(s, calls, stop)
	time.Sleep(time.Second / 2)
	close(stop)
	group.Wait()
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err, s.said())
	}
	all.check(s)
	if lines, answers := len(s.onRecord())-before, len(all.all)-answered; lines != answers || answers == 0 {
		t.Fatalf("%d answers, %d lines", answers, lines)
	}
	if all.kinds[200] == 0 || all.kinds[403] == 0 {
		t.Fatalf("%v %s", all.kinds, s.said())
	}
	text, anchor := s.shipped()
	events := map[string]int{}
	for _, one := range parse(t, text) {
		events[one.Event]++
		torn -= one.Torn
	}
	if events["started"] != kills+1 || events["stopped"] != 1 || torn != 0 {
		t.Fatalf("%v; %d torn bytes are not named", events, torn)
	}
	again := t.TempDir() // what was shipped is one whole chain: a journal goes on with it, and its end is the newest anchor
	if err := os.WriteFile(filepath.Join(again, "chain-000000000001.jsonl"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	journal, err := audit.Open(again, "gateway-0", nil, audit.Limits{Segment: 1 << 30, Every: time.Hour, Budget: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if head := journal.Head(); head.Seq != anchor.Seq+1 {
		t.Fatalf("line %d follows, and the newest anchor is of %d", head.Seq, anchor.Seq)
	}
	t.Logf("%d answers after %d kills (%v), %d sent", len(all.all), kills, all.kinds, all.sent)
}

// tear counts the bytes of a line that the kill left unfinished. A kill seldom hits a write in its middle, so some are
// made here.
func (s *site) tear(more bool) int {
	s.t.Helper()
	files, _ := filepath.Glob(s.audit() + "/*")
	newest := files[len(files)-1]
	text, err := os.ReadFile(newest)
	if err != nil {
		s.t.Fatal(err)
	}
	if more {
		text = fmt.Appendf(text, `{"chain":{"replica":"gateway-0","seq":%d`, rand.N(1000))
		if err := os.WriteFile(newest, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return len(text) - 1 - bytes.LastIndexByte(text, '\n')
}

func TestWholeProfilesStayAndViewsGoOnWhileTheStoreFails(t *testing.T) {
	s := newSite(t)
	s.start()
	calls := s.calls()
	asked := func(one call, want int) {
		t.Helper()
		if status, id, err := s.ask(http.DefaultClient, one); err != nil || status != want || id == "" {
			t.Fatalf("%s: %d, not %d: %v %s", one.path, status, want, err, s.said())
		}
	}
	asked(calls[2], http.StatusOK)
	s.store.Fail(true)
	asked(calls[0], http.StatusOK)
	asked(calls[2], http.StatusServiceUnavailable)
	s.store.Fail(false)
	asked(calls[2], http.StatusOK)
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err, s.said())
	}
	text, _ := s.shipped()
	if lines := parse(t, text); len(lines) != 7 { // started, four answers and the correction of one, stopped
		t.Fatalf("%s", text)
	}
}
