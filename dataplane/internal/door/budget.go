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
// Requests take more as bytes come in, since nobody says before how many there will be. So that they do not all wait for
// each other with their parts in hand, most of the budget is a reserve: one request at a time ends with its help.
type budget struct {
	whole    int64 // with the reserve
	common   *semaphore.Weighted
	reserve  int64
	turn     *semaphore.Weighted // of one, in the order in which they came
	patience time.Duration

	mutex  sync.Mutex
	unread map[string]int64 // bytes of answers that wait to be read, by who asked
}

const (
	// Of GOMEMLIMIT, in hundredths. The rest is for what is not counted: the program itself, connections, buffers that
	// are kept for the next request, and what the garbage collector has not found yet.
	budgetShare = 75
	// Of that, likewise: enough for the largest answer in protobuf, 16 MB at answerWeight.
	reserveShare = 75
	// Where nobody set GOMEMLIMIT: of the pod's 460 MiB (components/gateway.py).
	usualBudget = 460 << 20 * budgetShare / 100
	// How long a request waits for its turn. Agents and dashboards try again after a refusal.
	budgetPatience = 5 * time.Second
	// Of the whole, in hundredths: what one caller may leave unread. Whoever asks and does not read would hold up all
	// others, who wait for the same memory.
	unreadShare = 12
)

// What a byte costs that is held, by what is made of it: TestWhatAByteCosts measures it.
const (
	// A message: as it came, as Connect copies it and as it is encoded anew, each in a buffer that grew. What it is
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
	reserve := whole / 100 * reserveShare
	return &budget{whole: whole, common: semaphore.NewWeighted(whole - reserve), reserve: reserve,
		turn: semaphore.NewWeighted(1), patience: budgetPatience, unread: map[string]int64{}}
}

// leaves notes an answer that leaves, unless that is too much for one caller; the first one always may.
func (b *budget) leaves(who string, bytes int64) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if before := b.unread[who]; before > 0 && before+bytes > b.whole/100*unreadShare {
		return false
	}
	b.unread[who] += bytes
	return true
}

// left ends it.
func (b *budget) left(who string, bytes int64) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.unread[who] -= bytes; b.unread[who] <= 0 {
		delete(b.unread, who)
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
	of    *budget
	mutex sync.Mutex
	bytes int64 // of what is common
	extra int64 // of the reserve
	turn  bool
}

// take waits a while for so many bytes more.
func (h *holding) take(ctx context.Context, bytes int64) error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.bytes+h.extra+bytes > h.of.whole {
		return refuse(tooMuch, "memory", "this takes more memory than the gateway has; ask for less at once")
	}
	if h.common(bytes) {
		return nil
	}
	if !h.turn {
		ctx, cancel := context.WithTimeout(ctx, h.of.patience)
		defer cancel()
		if !h.of.turn.TryAcquire(1) && h.of.turn.Acquire(ctx, 1) != nil {
			return scarce()
		}
		if h.common(bytes) { // meanwhile others ended
			h.of.turn.Release(1)
			return nil
		}
		h.turn = true
	}
	if h.extra+bytes > h.of.reserve {
		return scarce()
	}
	h.extra += bytes
	return nil
}

func (h *holding) common(bytes int64) bool {
	if !h.of.common.TryAcquire(bytes) {
		return false
	}
	h.bytes += bytes
	return true
}

func scarce() error {
	return refuse(tooMuch, "memory", "the gateway holds as much as it can; try again in a second")
}

// keep gives back all but so many bytes, those of the reserve first.
func (h *holding) keep(bytes int64) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.turn {
		if more := bytes - h.bytes; more <= 0 || h.common(min(more, h.extra)) {
			h.extra, h.turn = 0, false
			h.of.turn.Release(1)
		} else {
			h.extra = min(more, h.extra)
		}
	}
	if bytes < h.bytes {
		h.of.common.Release(h.bytes - bytes)
		h.bytes = bytes
	}
}

// weighed is a reader of which each byte is taken from a budget.
type weighed struct {
	io.ReadCloser
	ctx    context.Context
	from   *holding
	weight int64
}

func (w *weighed) Read(into []byte) (int, error) {
	n, err := w.ReadCloser.Read(into)
	if refused := w.from.take(w.ctx, int64(n)*w.weight); refused != nil {
		return 0, refused
	}
	return n, err
}

// answers weighs what the backend answers, as it comes: nobody says before how much it will be.
type answers struct{ next http.RoundTripper }

func (a answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if one, ok := request.Context().Value(visitKey{}).(*visit); ok && err == nil {
		response.Body = &weighed{response.Body, request.Context(), one.holding, one.weight}
	}
	return response, err
}
