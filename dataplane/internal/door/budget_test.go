package door

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"google.golang.org/protobuf/proto"
)

const push = "/push.v1.PusherService/Push"

func TestABudgetIsNotOverdrawn(t *testing.T) {
	const whole = 1000
	of := newBudget(whole) // 600 in reserve
	of.patience = 10 * time.Millisecond
	var used, most, finished atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 20 {
				one, took := &holding{of: of}, int64(0)
				for range 6 { // 600 each: no two of them fit at once, and one always does
					if one.take(t.Context(), 100, true) == nil {
						took += 100
						now := used.Add(100)
						for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
						}
					}
				}
				if took == 600 {
					finished.Add(1)
				}
				used.Add(-took)
				one.keep(t.Context(), 0)
			}
		})
	}
	all.Wait()
	if most.Load() > whole || most.Load() < 600 || finished.Load() == 0 {
		t.Errorf("%d of %d were held at once, %d had all", most.Load(), whole, finished.Load())
	}
	if !of.common.TryAcquire(of.shared) || !of.turn.TryAcquire(1) {
		t.Error("somebody kept a part")
	}
}

func TestWhoTakesTooMuchIsToldSo(t *testing.T) {
	of := newBudget(400) // 240 in reserve, 60 for what is unread, 100 for all
	of.patience = 0
	one, other, third := &holding{of: of}, &holding{of: of}, &holding{of: of}
	takes := func(who *holding, bytes int64, says string) {
		t.Helper()
		if err := who.take(t.Context(), bytes, true); says == "" && err != nil || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%d: %v", bytes, err)
		}
	}
	takes(one, 341, "ask for less")
	takes(one, 100, "")
	takes(other, 100, "") // of the reserve
	takes(third, 100, "try again")
	takes(other, 141, "ask for less") // the reserve is not enough
	takes(other, 140, "")
	if !other.keep(t.Context(), 60) { // there is room for what is unread: the turn is free
		t.Error("there was room")
	}
	takes(third, 60, "")
	if third.keep(t.Context(), 1) { // there is none any more: all is given back
		t.Error("there was no room")
	}
	if !one.keep(t.Context(), 30) || one.bytes != 30 || one.unread != 0 { // stays where it is
		t.Errorf("%+v", one)
	}
	if err := third.take(t.Context(), 71, false); err == nil {
		t.Error("the reserve is for nobody who waits for a client")
	}
	for _, each := range []*holding{one, other, third} {
		each.keep(t.Context(), 0)
	}
	if !of.common.TryAcquire(of.shared) || !of.turn.TryAcquire(1) || !of.unread.TryAcquire(60) {
		t.Error("somebody kept a part")
	}
}

// A request waits for another to end.
func TestWhoWaitsIsLetInOnceThereIsRoom(t *testing.T) {
	of := newBudget(400)
	of.patience = time.Minute
	one, other, third := &holding{of: of}, &holding{of: of}, &holding{of: of}
	for _, who := range []*holding{one, other} {
		if err := who.take(t.Context(), 100, true); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() { done <- third.take(context.Background(), 60, true) }()
	other.keep(t.Context(), 0)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// roomy is a world of these limits, before a backend that answers each query alike.
func roomy(t *testing.T, megabytes int, answer []byte) *world {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/proto")
		if r.URL.Path == push {
			return
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(backend.Close)
	w := before(t, backend.URL)
	text, err := os.ReadFile(w.folders.Config)
	if err != nil {
		t.Fatal(err)
	}
	given := strings.Replace(string(text), "bodyMegabytes: 1, answerMegabytes: 8", fmt.Sprintf("bodyMegabytes: %d, answerMegabytes: %d", megabytes, megabytes), 1)
	if given == string(text) {
		t.Fatal("the limits are written in another way")
	}
	w.write(w.folders.Config, given)
	w.start(w.leases)
	return w
}

// wide is a flame graph of so many numbers, which are as short as they can be: what becomes most of its bytes.
func wide(t *testing.T, numbers int) []byte {
	t.Helper()
	graph := &querierv1.FlameGraph{}
	for range numbers / 1000 {
		level := &querierv1.Level{Values: make([]int64, 1000)}
		for i := range level.Values {
			level.Values[i] = 1
		}
		graph.Levels = append(graph.Levels, level)
	}
	text, err := proto.Marshal(&querierv1.SelectMergeStacktracesResponse{Flamegraph: graph})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Whatever a request comes to, it gives back all that it took.
func TestNothingStaysTaken(t *testing.T) {
	w := roomy(t, 1, wide(t, 10_000))
	agents, gzip := w.program(agent), header("Content-Encoding", "gzip")
	for name, send := range map[string]func(){
		"an answer":       func() { w.post(w.person(reader), stacks, stacktracesOf("")) },
		"a refusal":       func() { w.post(w.person(reader), wholeOne, stacktracesOf("")) },
		"a push":          func() { w.post(agents, push, zipped(pushOf("payments")), gzip) },
		"a bomb":          func() { w.post(agents, push, zipped(strings.Repeat(" ", 8<<20)), gzip) },
		"a body cut off":  func() { w.post(agents, push, zipped(pushOf("payments"))[:40], gzip) },
		"no JSON":         func() { w.post(agents, push, "{") },
		"OTLP":            func() { w.post(agents, otlpPath, `{"resourceProfiles":[]}`) },
		"an old push":     func() { w.post(agents, "/ingest?name=a", "") },
		"an old question": func() { w.send(http.MethodGet, w.person(reader), "/tenant/payments/pyroscope/render?query=a", "", nil) },
	} {
		lines := len(w.journal.all())
		send()
		if len(w.journal.all()) != lines+1 {
			t.Fatalf("%s left %d lines", name, len(w.journal.all())-lines)
		}
		of := w.door.(*Door).budget
		if err := of.common.Acquire(t.Context(), of.shared); err != nil { // the last request may still be ending
			t.Fatalf("%s: %v", name, err)
		}
		of.common.Release(of.shared)
	}
}

func TestWithoutMemoryRequestsAreRefusedAndOnRecord(t *testing.T) {
	w := roomy(t, 16, wide(t, 3<<20))
	door := w.door.(*Door)
	door.budget = newBudget(8 << 20)
	door.budget.patience = 0
	agents := w.program(agent)
	for name, send := range map[string]func() (int, string){
		"an answer": func() (int, string) { return w.post(w.person(reader), stacks, stacktracesOf("")) },
		"a push":    func() (int, string) { return w.post(agents, push, strings.Repeat(" ", 4<<20)+pushOf("payments")) },
		"an old question": func() (int, string) {
			asked := url.Values{"query": {cpu + `{service_name="checkout"}`}, "from": {"now-10m"}, "until": {"now"}}
			return w.send(http.MethodGet, w.person(reader), "/tenant/payments/pyroscope/render?"+asked.Encode(), "", nil)
		},
		"OTLP": func() (int, string) { return w.post(agents, otlpPath, strings.Repeat(" ", 4<<20)+`{}`) },
		"an old push": func() (int, string) {
			return w.send(http.MethodPost, agents, "/ingest?format=pprof&name=a%7Bteam%3Dpayments%7D", "", make([]byte, 4<<20))
		},
	} {
		status, body := send()
		if record := w.last(); status != http.StatusTooManyRequests || record.Rule != "memory" || record.Allowed || record.Code != "resource_exhausted" {
			t.Errorf("%s: %d %.100s; %+v", name, status, body, record)
		}
	}
	if status, body := w.post(agents, push, pushOf("payments")); status != http.StatusOK {
		t.Errorf("a small push: %d %s", status, body)
	}
}

// Who asks and does not read is refused, and nobody else.
func TestUnreadAnswersHoldUpNobodyElse(t *testing.T) {
	w := roomy(t, 16, wide(t, 50_000))
	of := w.door.(*Door).budget
	bob := w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": "bob", "groups": []string{reader}})
	for range 2 { // answers that were read are none
		if status, body := w.post(w.person(reader), stacks, stacktracesOf("")); status != http.StatusOK {
			t.Fatalf("%d %.100s", status, body)
		}
	}
	allLeft(t, of)
	share := of.whole / 100 * pacedShare
	if !of.waits("ann", 1, share) || of.waits("ann", 2, 1) || !of.waits("carol", 1, share*2) || !of.waits("carol", 1, 1) {
		t.Fatal("who has nothing unread gets an answer, whatever its size, and who has too much gets none")
	}
	status, _ := w.post(w.person(reader), stacks, stacktracesOf(""))
	if record := w.last(); status != http.StatusTooManyRequests || record.Rule != "memory" || record.Allowed || record.Bytes > 1000 {
		t.Errorf("%d %+v", status, record)
	}
	// What is refused says why, whoever asks.
	status, _ = w.post(w.person(reader), strings.Replace(stacks, "payments", "catalog", 1), stacktracesOf(""))
	if record := w.last(); status != http.StatusForbidden || record.Rule != "other-tenant" {
		t.Errorf("%d %+v", status, record)
	}
	if status, body := w.post(bob, stacks, stacktracesOf("")); status != http.StatusOK {
		t.Errorf("somebody else: %d %.100s", status, body)
	}
	of.came("ann", 1, share)
	if status, body := w.post(w.person(reader), stacks, stacktracesOf("")); status != http.StatusOK {
		t.Errorf("%d %.100s", status, body)
	}
	of.came("carol", 1, share*2+1)
	allLeft(t, of)
}

// allLeft waits until the handlers of answers that were read have ended.
func allLeft(t *testing.T, of *budget) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		of.mutex.Lock()
		count := len(of.paced)
		of.mutex.Unlock()
		if count == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d callers have answers unread", count)
		}
	}
}

// 16 MB of series that hold nothing would be more than a gigabyte. They are counted where they lie.
func TestAHostilePushIsRefusedBeforeItIsDecoded(t *testing.T) {
	w := roomy(t, 16, nil)
	agents := w.program(agent)
	empty := bytes.Repeat([]byte{0x0a, 0x00}, 8<<20-8)
	table := bytes.Repeat([]byte{0x12, 0x00}, 8<<20-8) // OTLP: a dictionary for each
	for name, c := range map[string]struct {
		path, kind string
		body       []byte
		rule       string
	}{
		"series":         {push, "application/proto", empty, "malformed"},
		"series of gRPC": {push, "application/grpc", append([]byte{0, 0, 0xff, 0xff, 0xf0}, empty...), "malformed"},
		"series of JSON": {push, "application/json", []byte(`{"series":[{}` + strings.Repeat(",{}", 5<<20) + `]}`), "body"},
		"dictionaries":   {otlpPath, "application/x-protobuf", table, "body"},
		"and in gRPC":    {otlpProcedure, "application/grpc", append([]byte{0, 0, 0xff, 0xff, 0xf0}, table...), "body"},
	} {
		request := httptest.NewRequest(http.MethodPost, c.path, bytes.NewReader(c.body))
		request.ProtoMajor = 2
		request.Header.Set("Content-Type", c.kind)
		request.Header.Set("Authorization", "Bearer "+agents)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.door.ServeHTTP(httptest.NewRecorder(), request)
		runtime.ReadMemStats(&after)
		if record := w.last(); record.Rule != c.rule || record.Allowed {
			t.Errorf("%s: %+v", name, record)
		}
		// The body in a slice that grew, and no object of it.
		if made := after.TotalAlloc - before.TotalAlloc; made > 128<<20 {
			t.Errorf("%s made %d MB", name, made>>20)
		}
	}
}
