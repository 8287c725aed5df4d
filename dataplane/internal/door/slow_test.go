package door

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// asked is one request in JSON, that the door is given without a network between.
func asked(token, path string, body io.Reader, packed bool) *http.Request {
	request := httptest.NewRequest(http.MethodPost, path, body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	if packed {
		request.Header.Set("Content-Encoding", "gzip")
	}
	return request
}

// A pattern is compiled when it is parsed, before anybody decides: 200 bytes on the wire would be half a gigabyte.
func TestPatternsAreWeighedBeforeTheyAreCompiled(t *testing.T) {
	w := newWorld(t)
	start, end := window()
	one := `{service_name=~"` + strings.Repeat("a{1000}", 1500) + `"}`
	body, _ := json.Marshal(map[string]any{"start": start, "end": end, "matchers": []string{one, one, one, one}})
	diff := strings.TrimPrefix(strings.Replace(stacktracesOf(""), `service_name=\"checkout\"`, strings.Trim(strings.ReplaceAll(one, `"`, `\"`), "{}"), 1), "{")
	old := "/tenant/payments/pyroscope/render?" + url.Values{"query": {cpu + one}, "from": {"now-10m"}, "until": {"now"}}.Encode()
	for name, request := range map[string]*http.Request{
		"names":      asked(w.person(reader), names, strings.NewReader(zipped(string(body))), true),
		"difference": asked(w.person(reader), strings.Replace(stacks, "SelectMergeStacktraces", "Diff", 1), strings.NewReader(`{"left":{`+diff+`,"right":{`+diff+`}`), false),
		"render":     httptest.NewRequest(http.MethodGet, old, nil),
	} {
		request.Header.Set("Authorization", "Bearer "+w.person(reader))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.door.ServeHTTP(httptest.NewRecorder(), request)
		runtime.ReadMemStats(&after)
		if record := w.last(); record.Rule != "malformed" || !strings.Contains(record.Reason, "at most 4096") {
			t.Errorf("%s: %+v", name, record)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 32<<20 {
			t.Errorf("%s made %d MB", name, made>>20)
		}
	}
	if status, body := w.post(w.person(reader), names, query(`,"matchers":["{service_name=~\"check.+|search\"}"]`)); status != http.StatusOK {
		t.Errorf("an ordinary pattern: %d %s", status, body)
	}
	w.door.(*Door).budget = newBudget(1 << 20)
	w.door.(*Door).budget.patience = 0
	if status, _ := w.post(w.person(reader), names, query(`,"matchers":["{service_name=~\"`+strings.Repeat("x", 100)+`\"}"]`)); status != http.StatusTooManyRequests {
		t.Errorf("a pattern for which there is no memory: %d", status)
	}
}

// The decoder copies a list of numbers for each piece of it: a hundred bytes of gzip would hold a processor for minutes.
func TestPiecesOfAListAreCounted(t *testing.T) {
	w := roomy(t, 16, nil)
	field := func(number protowire.Number, inside []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), inside)
	}
	// dictionary.stack_table[0].location_indices
	text := field(2, field(7, bytes.Repeat([]byte{1<<3 | 2, 1, 1}, mostPieces+1)))
	request := asked(w.program(agent), otlpPath, strings.NewReader(zipped(string(text))), true)
	request.Header.Set("Content-Type", "application/x-protobuf")
	w.door.ServeHTTP(httptest.NewRecorder(), request)
	if record := w.last(); record.Rule != "malformed" || !strings.Contains(record.Reason, "location_indices") {
		t.Errorf("%+v", record)
	}
}

// stalled sends what it has and then nothing.
type stalled struct {
	io.Reader
	once *sync.Once
	at   *sync.WaitGroup
	end  chan struct{}
}

func (s *stalled) Read(into []byte) (int, error) {
	n, err := s.Reader.Read(into)
	if err == io.EOF {
		s.once.Do(s.at.Done)
		<-s.end
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// stall begins requests of unending gzip; the function ends them.
func stall(w *world, token, path string, count, size int) func() {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(bytes.Repeat([]byte{' '}, size))
	_ = writer.Flush()
	end := make(chan struct{})
	var at, all sync.WaitGroup
	for range count {
		body := &stalled{bytes.NewReader(packed.Bytes()), new(sync.Once), &at, end}
		at.Add(1)
		all.Go(func() {
			w.door.ServeHTTP(httptest.NewRecorder(), asked(token, path, body, true))
			body.once.Do(at.Done)
		})
	}
	at.Wait()
	return func() { close(end); all.Wait() }
}

func TestHalfABodyHoldsUpNobodyElse(t *testing.T) {
	w := roomy(t, 16, wide(t, 1<<20))
	w.door.(*Door).budget.patience = 0
	bob := w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": "bob", "groups": []string{reader}})
	for name, end := range map[string]func(){
		"questions": stall(w, w.person(reader), stacks, 60, 255<<10),
		"a push":    stall(w, w.program(agent), push, 1, 15<<20),
	} {
		if status, body := w.post(bob, stacks, stacktracesOf("")); status != http.StatusOK {
			t.Errorf("%s: %d %.100s", name, status, body)
		}
		end()
	}
}

func TestBodiesUnderWayAreBoundedByWhoSendsThem(t *testing.T) {
	of := newBudget(1000)
	of.patience = 0
	one := func(who string) *received {
		v := &visit{holding: &holding{of: of}}
		v.record.Subject = who
		return &received{Reader: strings.NewReader(strings.Repeat("x", 50)), visit: v, ctx: t.Context()}
	}
	first, second, other := one("ann"), one("ann"), one("bob")
	if n, err := first.Read(make([]byte, 50)); n != 50 || err != nil {
		t.Fatal("the first one always may", n, err)
	}
	if _, err := second.Read(make([]byte, 15)); err == nil || !strings.Contains(err.Error(), "end them first") {
		t.Fatal(err)
	}
	if _, err := other.Read(make([]byte, 15)); err != nil {
		t.Fatal(err)
	}
	first.end()
	if n, err := second.Read(make([]byte, 50)); n != 35 || err != nil { // as much as it likes, now that it is the first
		t.Fatal(n, err)
	}
	second.end()
	other.end()
	if len(of.paced) != 0 {
		t.Error(of.paced)
	}
}

// never reads no answer.
type never struct {
	nothing
	at  *sync.WaitGroup
	end chan struct{}
}

func (n *never) Write(text []byte) (int, error) { n.at.Done(); <-n.end; return len(text), nil }

func TestAnswersThatNobodyReadsHoldNoPlaceAndNoTurn(t *testing.T) {
	w := roomy(t, 16, wide(t, 1000))
	end := make(chan struct{})
	var at, all sync.WaitGroup
	for range 50 { // the tenant may ask fifty questions at once
		at.Add(1)
		all.Go(func() {
			w.door.ServeHTTP(&never{at: &at, end: end}, asked(w.person(reader), stacks, strings.NewReader(stacktracesOf("")), false))
		})
	}
	at.Wait()
	bob := w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": "bob", "groups": []string{reader}})
	if status, body := w.post(bob, stacks, stacktracesOf("")); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	close(end)
	all.Wait()

	of := newBudget(usualBudget)
	of.patience = 0
	share := of.whole / 100 * pacedShare
	for _, who := range []string{"ann", "bob", "carol", "dan", "eve"} {
		one := &holding{of: of}
		if err := one.take(t.Context(), share, true); err != nil || !of.waits(who, one, share) {
			t.Fatal(who, err)
		}
		if one.keep(t.Context(), share) != (who != "eve") { // one fills what is for the unread, three what is common; the fifth is refused
			t.Fatal(who)
		}
	}
	if err := (&holding{of: of}).take(t.Context(), 5<<20, true); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestWhatOthersGiveBackIsFound(t *testing.T) {
	of := newBudget(400) // 240 in reserve, 60 for what is unread, 100 for all
	one, slow, waits := &holding{of: of}, &holding{of: of}, &holding{of: of}
	if one.take(t.Context(), 90, true) != nil || slow.take(t.Context(), 240, true) != nil { // slow has the turn, and keeps it
		t.Fatal("there was room")
	}
	done := make(chan error)
	go func() { done <- waits.take(context.Background(), 60, true) }()
	one.keep(t.Context(), 0)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A forge signs for everybody, and each branch is another subject.
func TestAForgesStrangersCountByAddress(t *testing.T) {
	for name, good := range map[string]time.Duration{"good": time.Hour, "expired": -time.Minute} {
		w := newWorld(t)
		for i := range straysBurst * 3 {
			w.knocks(1, w.ci.token(t, map[string]any{
				"aud": "flameplane-gate", "repository": "mallory/x", "exp": time.Now().Add(good).Unix(),
				"sub": fmt.Sprintf("repo:mallory/x:ref:refs/heads/%d", i),
			}))
		}
		if lines := len(w.journal.all()); lines > straysBurst*2 || lines < straysBurst {
			t.Errorf("%s: %d lines", name, lines)
		}
	}
}
