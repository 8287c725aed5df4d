package door

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	profiles "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	otlp "go.opentelemetry.io/proto/otlp/profiles/v1development"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Each pattern may come to megabytes, however short it is.
func TestManyShortPatternsAreRefused(t *testing.T) {
	w := newWorld(t)
	start, end := window()
	one := "{" + strings.TrimSuffix(strings.Repeat("a=~`\\pL{990}`,", 280), ",") + "}"
	body, _ := json.Marshal(map[string]any{"start": start, "end": end, "matchers": []string{one}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.door.ServeHTTP(httptest.NewRecorder(), asked(w.person(reader), names, bytes.NewReader(body), false))
	runtime.ReadMemStats(&after)
	if record, made := w.last(), after.TotalAlloc-before.TotalAlloc; record.Rule != "memory" || made > 32<<20 {
		t.Errorf("made %d MB: %+v", made>>20, record)
	}
}

// What dashboards ask by costs little, and is weighed with little.
func TestOrdinaryPatternsAreCheap(t *testing.T) {
	w := newWorld(t)
	one := &visit{holding: &holding{of: w.door.(*Door).budget}}
	text := `{service_name=~"checkout|cart|search",pod=~"checkout-.+",namespace!~"kube-.*",version=~"[0-9]+[.][0-9]+(-rc)?"}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := one.patterns(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if _, err := parseSelector(text); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; one.compiling > 4<<20 || made > uint64(one.compiling) {
		t.Errorf("made %d kB, weighed %d kB", made>>10, one.compiling>>10)
	}
}

// What patterns were weighed with is given back before the backend is asked, which takes its time.
func TestPatternsAreHeldUntilTheDecision(t *testing.T) {
	w := newWorld(t)
	of := w.door.(*Door).budget
	one := &visit{holding: &holding{of: of}}
	if err := one.patterns(t.Context(), `{a=~"b{2}"}`, `{c="\x7e"}`, `{d=~"e\x7b2}"}`); err != nil || one.compiling < 2*repeatCost {
		t.Fatal(err, one.compiling)
	}
	one.who.Repository, one.state = "nobody's", w.door.(*Door).Settings.State()
	_, _ = w.door.(*Door).admit(one, &Call{Kind: Names})
	if one.compiling != 0 || one.holding.bytes+one.holding.extra != 0 || !of.turn.TryAcquire(1) {
		t.Errorf("%+v", one.holding)
	}
}

// A gRPC body whose message is there and whose end never comes waits for a client like any other.
func TestAnEndThatNeverComesHoldsUpNobodyElse(t *testing.T) {
	w := roomy(t, 16, wide(t, 1<<20))
	w.door.(*Door).budget.patience = 0
	bob := w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": "bob", "groups": []string{reader}})
	text := bytes.Repeat([]byte{' '}, 255<<10)
	end := make(chan struct{})
	var at, all sync.WaitGroup
	for range 70 {
		body := &stalled{bytes.NewReader(enveloping(0, len(text), text)), new(sync.Once), &at, end}
		request := asked(w.person(reader), stacks, body, false)
		request.ProtoMajor = 2
		request.Header.Set("Content-Type", "application/grpc+json")
		at.Add(1)
		all.Go(func() {
			w.door.ServeHTTP(httptest.NewRecorder(), request)
			body.once.Do(at.Done)
		})
	}
	at.Wait()
	if status, body := w.post(bob, stacks, stacktracesOf("")); status != http.StatusOK {
		t.Errorf("%d %.100s", status, body)
	}
	close(end)
	all.Wait()
}

// What is refused because too much waits to be read is held no longer.
func TestARefusedAnswerIsHeldNoLonger(t *testing.T) {
	w := roomy(t, 16, wide(t, 1<<20))
	of := w.door.(*Door).budget
	of.waits("ann", 1, of.whole/100*pacedShare)
	end := make(chan struct{})
	var at, all sync.WaitGroup
	for range 40 {
		at.Add(1)
		all.Go(func() {
			w.door.ServeHTTP(&never{at: &at, end: end}, asked(w.person(reader), stacks, strings.NewReader(stacktracesOf("")), false))
		})
	}
	at.Wait()
	if err := (&holding{of: of}).take(t.Context(), of.shared/2, false); err != nil {
		t.Error(err)
	}
	close(end)
	all.Wait()
}

// A push that the backend has is not refused: whoever is refused sends again.
func TestAStoredPushIsNotRefused(t *testing.T) {
	w := newWorld(t)
	of, token := w.door.(*Door).budget, w.program(agent)
	w.post(token, push, pushOf("payments"))
	of.waits(w.last().Subject+w.last().Pod, 1, of.whole/100*pacedShare)
	if status, body := w.post(token, push, pushOf("payments")); status != http.StatusOK || !w.last().Allowed {
		t.Errorf("%d %s", status, body)
	}
}

// Whole profiles of who needs no grant are answers like any other.
func TestAProgramsUnreadProfilesAreRefused(t *testing.T) {
	w := newWorld(t)
	of, token := w.door.(*Door).budget, w.program("flameplane-system/flameplane-downsample")
	w.post(token, wholeOne, stacktracesOf(""))
	of.waits(w.last().Subject+w.last().Pod, 1, of.whole/100*pacedShare)
	if status, body := w.post(token, wholeOne, stacktracesOf("")); status == http.StatusOK || w.last().Rule != "memory" || strings.Contains(body, "secret") {
		t.Errorf("%d %s", status, body)
	}
}

func TestARepositoryIsOneCaller(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		token := w.ci.token(t, map[string]any{"aud": "flameplane-gate", "repository": "acme/checkout", "sub": fmt.Sprintf("repo:acme/checkout:ref:refs/heads/%d", i)})
		w.door.ServeHTTP(httptest.NewRecorder(), asked(token, stacks, strings.NewReader(stacktracesOf("")), false))
	}
	if known := w.door.(*Door).callers.known; len(known) != 1 {
		t.Error(known)
	}
}

// Several large profiles of one node at once are taken one after the other.
func TestLargePushesOfOnePodAreTaken(t *testing.T) {
	w := roomy(t, 16, nil)
	token, text := w.program(agent), string(make([]byte, 5<<20))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			request := httptest.NewRequest(http.MethodPost, "/ingest?format=pprof&name=checkout%7Bteam%3Dpayments%7D", strings.NewReader(text))
			request.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			w.door.ServeHTTP(answer, request)
			if answer.Code != http.StatusOK {
				t.Errorf("%d %.100s", answer.Code, answer.Body)
			}
		})
	}
	all.Wait()
}

// Fixed numbers do not end in a byte below 0x80 each, and become no fewer for it.
func TestPackedFixedNumbersAreWeighed(t *testing.T) {
	sample := (&otlp.Sample{}).ProtoReflect().Descriptor()
	times := sample.Fields().ByName("timestamps_unix_nano")
	if times == nil || times.Kind() != protoreflect.Fixed64Kind || !times.IsPacked() {
		t.Fatal("OTLP has another list of fixed numbers by now")
	}
	inside := bytes.Repeat([]byte{0xff}, 8<<20)
	text := protowire.AppendBytes(protowire.AppendTag(nil, times.Number(), protowire.BytesType), inside)
	if weighed, err := shapeOf(sample).weigh(text); err != nil || weighed < int64(len(inside)) {
		t.Errorf("%d bytes weigh %d: %v", len(inside), weighed, err)
	}
}

// A refusal quotes what the client wrote, which may be megabytes, six times as long in JSON, and it has no room in the
// budget: a pod that reads none of them would end the gateway.
func TestARefusalIsAFewWords(t *testing.T) {
	w, long := roomy(t, 16, nil), strings.Repeat("<", 200<<10)
	for name, c := range map[string]struct{ token, path, kind, text string }{
		"a number":          {w.person(reader), stacks, "application/json", `{"start":"` + long + `"}`},
		"a field":           {w.person(reader), stacks, "application/json", `{"` + long + `":1}`},
		"a format":          {w.person(reader), stacks, "application/json", `{"format":"` + long + `"}`},
		"a format, in gRPC": {w.person(reader), stacks, "application/grpc+json", string(enveloping(0, len(long)+13, []byte(`{"format":"`+long+`"}`)))},
		"a selector":        {w.person(reader), stacks, "application/json", `{"label_selector":"{a=` + strings.ReplaceAll(long, "<", "b") + `}"}`},
		"two teams":         {w.program(agent), push, "application/json", `{"series":[` + seriesOf("a") + `,` + seriesOf(long) + `]}`},
		"a label":           {w.program(agent), push, "application/json", `{"series":[{"labels":[{"name":"` + long + `"},{"name":"` + long + `"}]}]}`},
		"of OTLP":           {w.program(agent), otlpPath, "application/json", `{"` + long + `":1}`},
	} {
		request := asked(c.token, c.path, strings.NewReader(c.text), false)
		request.ProtoMajor = 2
		request.Header.Set("Content-Type", c.kind)
		answer := httptest.NewRecorder()
		w.door.ServeHTTP(answer, request)
		size := answer.Body.Len()
		for key, values := range answer.Result().Header {
			size += len(key) + len(strings.Join(values, ""))
		}
		for key, values := range answer.Result().Trailer {
			size += len(key) + len(strings.Join(values, ""))
		}
		if record := w.last(); record.Allowed || size > 8<<10 {
			t.Errorf("%s: %d bytes; %.300s", name, size, record.Reason)
		}
	}
}

// The more ranges the classes of Unicode make together, the more each step takes. Of all choices that a search tried, this is
// the heaviest for its length.
func TestAPatternBecomesNoMoreThanItWeighed(t *testing.T) {
	text := "{a=~`[\\p{C}\\p{Pi}\\p{Sm}\\p{Mc}\\p{Lu}\\p{Pe}\\p{Nl}\\p{Po}\\p{Lm}]{990}`}"
	one := &visit{holding: &holding{of: newBudget(usualBudget)}}
	if err := one.patterns(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	live := lives(func() any {
		selector, err := parseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		return selector
	})
	if live < 1<<20 || live > one.compiling {
		t.Errorf("%d bytes became %d, weighed as %d", len(text), live, one.compiling)
	}
}

// A query takes the backend up to two minutes, and what its question was decoded into is held all the while.
func TestQuestionsAtASlowBackendHoldUpNobodyElse(t *testing.T) {
	const heavy = 80_000 // locations, of three bytes each: 24 MB once they are decoded
	graph, asking, end := wide(t, 6<<20), make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); len(body) > heavy {
			asking <- struct{}{}
			<-end
		}
		w.Header().Set("Content-Type", "application/proto")
		_, _ = w.Write(graph)
	}))
	defer backend.Close()
	w := before(t, backend.URL)
	of := w.door.(*Door).budget
	of.patience = 0
	question := strings.TrimSuffix(stacktracesOf(""), "}") + `,"stack_trace_selector":{"call_site":[{}` + strings.Repeat(",{}", heavy) + `]}}`
	var all sync.WaitGroup
	for range 10 {
		refused := make(chan struct{})
		all.Go(func() {
			w.door.ServeHTTP(httptest.NewRecorder(), asked(w.person(reader), stacks, strings.NewReader(question), false))
			close(refused)
		})
		select {
		case <-asking:
		case <-refused:
		}
	}
	if record := w.last(); record.Rule != "memory" || !strings.Contains(record.Reason, "end them first") {
		t.Errorf("%+v", record)
	}
	bob := w.issuer.token(t, map[string]any{"aud": "flameplane", "sub": "bob", "groups": []string{reader}})
	request := asked(bob, stacks, bytes.NewReader(inProtobuf(t)), false)
	request.Header.Set("Content-Type", "application/proto")
	answer := &nothing{}
	if w.door.ServeHTTP(answer, request); answer.status != http.StatusOK {
		t.Errorf("%d %+v", answer.status, w.last())
	}
	close(end)
	all.Wait()
	allLeft(t, of)
	if !of.common.TryAcquire(of.shared) || !of.turn.TryAcquire(1) {
		t.Error("somebody kept a part")
	}
}

// Nor has a question the turn: it would have it until the backend answers.
func TestAQuestionHasNoHelpOfTheReserve(t *testing.T) {
	w := newWorld(t)
	of := w.door.(*Door).budget
	of.patience = 0
	of.common.TryAcquire(of.shared - 600<<10) // there is room for it as it comes, and for what is made of it there is none
	for _, packed := range []bool{false, true} {
		text := strings.Repeat(" ", 200<<10) + stacktracesOf("")
		if packed {
			text = zipped(text)
		}
		w.door.ServeHTTP(httptest.NewRecorder(), asked(w.person(reader), stacks, strings.NewReader(text), packed))
		if record := w.last(); record.Rule != "memory" {
			t.Errorf("packed %t: %+v", packed, record)
		}
	}
}

// Large profiles of many nodes at once are taken one after the other: they do not wait for each other with half in hand.
func TestLargePushesOfManyPodsAreTaken(t *testing.T) {
	w := roomy(t, 16, nil)
	w.door.(*Door).budget.patience = time.Minute // as long as it takes with the race detector
	text := string(make([]byte, 15<<20))
	var all sync.WaitGroup
	for i := range 12 {
		token := newIssuer(t).token(t, map[string]any{"aud": []string{"flameplane-gateway"}, "sub": agent})
		w.reviews.know(token, agent, fmt.Sprint("pod-", i))
		all.Go(func() {
			request := httptest.NewRequest(http.MethodPost, "/ingest?format=pprof&name=checkout%7Bteam%3Dpayments%7D", strings.NewReader(text))
			request.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			w.door.ServeHTTP(answer, request)
			if answer.Code != http.StatusOK {
				t.Errorf("%d %.100s", answer.Code, answer.Body)
			}
		})
	}
	all.Wait()
	allLeft(t, w.door.(*Door).budget)
}

// Nor is it refused because there is no room for the backend's few words about it.
func TestAStoredPushNeedsNoMoreMemory(t *testing.T) {
	var of *budget
	full := func() {
		for of.common.TryAcquire(1) {
		}
		of.turn.TryAcquire(1)
	}
	exported := func(context.Context, *connect.Request[profiles.ExportProfilesServiceRequest]) (*connect.Response[profiles.ExportProfilesServiceResponse], error) {
		full()
		return connect.NewResponse(&profiles.ExportProfilesServiceResponse{}), nil
	}
	mux := http.NewServeMux()
	mux.Handle(otlpProcedure, connect.NewUnaryHandler(otlpProcedure, exported))
	mux.HandleFunc(otlpPath, func(w http.ResponseWriter, _ *http.Request) {
		full()
		_, _ = w.Write([]byte("{}"))
	})
	w := before(t, served(t, mux))
	const text = `{"resourceProfiles":[{"resource":{"attributes":[{"key":"team","value":{"stringValue":"payments"}},{"key":"service.name","value":{"stringValue":"checkout"}}]}}]}`
	for _, path := range []string{otlpProcedure, otlpPath} {
		of = newBudget(1 << 20)
		of.patience = 0
		w.door.(*Door).budget = of
		if status, body := w.post(w.program(agent), path, text); status != http.StatusOK || !w.last().Allowed {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
