package door

import (
	"context"
	"io"
	"math"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// budget is the memory that all requests of this process hold together. The limits of each tenant do not add up to one
// of the pod: forty teams that each ask for little would end it, and every answer under way with it.
//
// Requests take more as bytes come in, since few say before how many there will be. So that they do not all wait for
// each other with their parts in hand, most of the budget is a reserve: one request at a time ends with its help. Nobody
// has that turn while its client sends, or reads, as slowly as it likes, nor while the backend looks for what a question
// is for; and whoever has it waits for nothing that others hold until they have it, which is why answers have room of
// their own while they are read.
type budget struct {
	whole    int64 // of all three parts
	shared   int64 // of it, by all
	common   *semaphore.Weighted
	reserve  int64
	turn     *semaphore.Weighted // of one
	unread   *semaphore.Weighted
	patience time.Duration

	mutex sync.Mutex
	paced map[string]*pace
}

// pace is what waits for one client, to be sent or to be read.
type pace struct {
	bytes int64
	first any // the request that may have as much as it needs, so that they do not all wait for each other
}

const (
	// Of GOMEMLIMIT, in hundredths. The rest is for what is not counted: the program itself, connections, buffers that
	// are kept for the next request, and what the garbage collector has not found yet.
	budgetShare = 75
	// Of that, likewise: enough for the largest answer in protobuf, 12 MB at answerWeight.
	reserveShare = 60
	// Likewise: for answers that wait to be read.
	unreadShare = 15
	// Where nobody set GOMEMLIMIT: of the pod's 460 MiB (components/gateway.py).
	usualBudget = 460 << 20 * budgetShare / 100
	// How long a request waits for memory. Agents and dashboards try again after a refusal.
	budgetPatience = 5 * time.Second
	// How often it looks: whoever ends wakes nobody, since what became free may be too little for those who wait.
	budgetLook = 20 * time.Millisecond
	// Of the whole, in hundredths: what may wait for one caller. Whoever asks and does not read, or sends and does not
	// end, would hold up all others, who wait for the same memory.
	pacedShare = 8
)

// What a byte costs that is held, by what is made of it. Those of answers are measured (TestWhatAByteCosts), those of
// bodies are the sum of the copies: what TestManyLargeAnswersStayInsideThePod holds them to is that they are enough.
const (
	// What comes, in a buffer that grows.
	rawWeight = 2
	// A message: unpacked, as Connect copies it, and as it is encoded anew, each in a buffer that grew. What it is
	// decoded into is weighed by itself.
	bodyWeight = 6
	// A body that is sent on as it is: read, and copied into another form.
	plainWeight = 4
	// An answer in protobuf: a flame graph's numbers of one byte each become eight, and are encoded again.
	answerWeight = 16
	// An answer in JSON, where each of those numbers is a text in quotes.
	jsonWeight = 28
)

func newBudget(whole int64) *budget {
	reserve, unread := whole/100*reserveShare, whole/100*unreadShare
	shared := whole - reserve - unread
	return &budget{whole: whole, shared: shared, common: semaphore.NewWeighted(shared), reserve: reserve,
		unread: semaphore.NewWeighted(unread), turn: semaphore.NewWeighted(1), patience: budgetPatience, paced: map[string]*pace{}}
}

// waits notes bytes that a request has waiting for its caller, unless that is too much beside what others of the same
// caller have. The first of them always may.
func (b *budget) waits(who string, request any, bytes int64) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	of := b.paced[who]
	if of == nil {
		of = &pace{}
		b.paced[who] = of
	}
	if of.first == nil {
		of.first = request
	}
	if of.first != request && of.bytes+bytes > b.whole/100*pacedShare {
		return false
	}
	of.bytes += bytes
	return true
}

// came ends it: all that the request has noted.
func (b *budget) came(who string, request any, bytes int64) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	of := b.paced[who]
	if of == nil {
		return
	}
	of.bytes -= bytes
	if of.first == request {
		of.first = nil
	}
	if of.first == nil && of.bytes <= 0 {
		delete(b.paced, who)
	}
}

// ownBudget follows GOMEMLIMIT.
func ownBudget() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 100 * budgetShare
	}
	return usualBudget
}

// holding is one request's part of a budget.
type holding struct {
	of     *budget
	mutex  sync.Mutex
	bytes  int64 // of what is common
	extra  int64 // of the reserve
	turn   bool
	unread int64
}

// take waits a while for so many bytes more. “turn“ is whether the reserve may help, which it may not while a client is
// waited for. Who has the turn does not wait: what does not fit then does not fit.
func (h *holding) take(ctx context.Context, bytes int64, turn bool) error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	most := h.of.shared
	if turn {
		most += h.of.reserve
	}
	taken, hopeless := false, h.bytes+h.extra+bytes > most
	h.patiently(ctx, func() bool {
		taken = !hopeless && (h.common(bytes) || turn && h.reserved(bytes))
		hopeless = hopeless || turn && h.turn
		return taken || hopeless
	})
	switch {
	case taken:
		return nil
	case hopeless:
		return refuse(tooMuch, "memory", "this takes more memory than the gateway has; ask for less at once")
	}
	return scarce()
}

func (h *holding) common(bytes int64) bool {
	if !h.of.common.TryAcquire(bytes) {
		return false
	}
	h.bytes += bytes
	return true
}

func (h *holding) reserved(bytes int64) bool {
	h.turn = h.turn || h.of.turn.TryAcquire(1)
	if !h.turn || h.extra+bytes > h.of.reserve {
		return false
	}
	h.extra += bytes
	return true
}

// patiently tries until it works, or for too long.
func (h *holding) patiently(ctx context.Context, try func() bool) bool {
	for end := time.Now().Add(h.of.patience); !try(); {
		if time.Now().After(end) {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(budgetLook):
		}
	}
	return true
}

func scarce() error {
	return refuse(tooMuch, "memory", "the gateway holds as much as it can; try again in a second")
}

// give gives back so many bytes before the request ends, those of the reserve first.
func (h *holding) give(bytes int64) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	extra := min(bytes, h.extra)
	if h.extra -= extra; h.turn && h.extra == 0 {
		h.turn = false
		h.of.turn.Release(1)
	}
	h.bytes -= bytes - extra
	h.of.common.Release(bytes - extra)
}

// keep gives back all but so many bytes, and the turn in any case: it says whether there was room for them outside of
// the reserve, or all is given back.
func (h *holding) keep(ctx context.Context, bytes int64) bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var unread, common int64
	found := bytes == 0 || h.patiently(ctx, func() bool {
		switch {
		case h.of.unread.TryAcquire(bytes):
			unread = bytes
		case bytes <= h.bytes || h.common(bytes-h.bytes):
			common = bytes
		default:
			return false
		}
		return true
	})
	if h.turn {
		h.extra, h.turn = 0, false
		h.of.turn.Release(1)
	}
	h.of.common.Release(h.bytes - common)
	h.of.unread.Release(h.unread)
	h.bytes, h.unread = common, unread
	return found
}

// weighed is a reader of which each byte is taken from a budget.
type weighed struct {
	io.ReadCloser
	ctx    context.Context
	from   *holding
	weight int64
	turn   bool
}

func (w *weighed) Read(into []byte) (int, error) {
	n, err := w.ReadCloser.Read(into)
	if refused := w.from.take(w.ctx, int64(n)*w.weight, w.turn); refused != nil {
		return 0, refused
	}
	return n, err
}

// answers weighs what the backend answers, as it comes: nobody says before how much it will be. Its few words about a push
// take no room: whoever was refused then would send what is stored again.
type answers struct{ next http.RoundTripper }

func (a answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if one, ok := request.Context().Value(visitKey{}).(*visit); ok && err == nil && !one.pushes() {
		response.Body = &weighed{response.Body, request.Context(), one.holding, one.weight, true}
	}
	return response, err
}
