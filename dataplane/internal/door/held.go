package door

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// held is an answer that has not left yet: nothing does before its line is on record. Answers are bounded, since those
// of the backend are (Limits.AnswerMegabytes) and all others are a few words.
type held struct {
	header http.Header
	sent   http.Header // as it was when the status was written; what is added later are trailers
	status int
	body   bytes.Buffer
}

func newHeld() *held { return &held{header: http.Header{}} }

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status, h.sent = status, h.header.Clone()
	}
}

func (h *held) Write(text []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(text)
}

// Flush is there for gRPC, which asks for it; the answer leaves as a whole.
func (h *held) Flush() { h.WriteHeader(http.StatusOK) }

func (h *held) sum() string {
	sum := sha256.Sum256(h.body.Bytes())
	return hex.EncodeToString(sum[:])
}

// How long a client may take to read an answer: so long, and a second for each so many bytes.
const (
	readTime      = 20 * time.Second
	readPerSecond = 1 << 20
)

// release sends the answer.
func (h *held) release(to http.ResponseWriter) {
	long := readTime + time.Duration(h.body.Len()/readPerSecond)*time.Second
	_ = http.NewResponseController(to).SetWriteDeadline(time.Now().Add(long)) // every server has them
	h.WriteHeader(http.StatusOK)
	for key, values := range h.sent {
		if !strings.HasPrefix(key, http.TrailerPrefix) {
			to.Header()[key] = values
		}
	}
	to.WriteHeader(h.status)
	_, _ = to.Write(h.body.Bytes())
	for key, values := range h.header {
		if strings.HasPrefix(key, http.TrailerPrefix) || declared(h.sent, key) {
			to.Header()[key] = values
		}
	}
}

// declared says whether a header is a trailer that the answer announced.
func declared(header http.Header, key string) bool {
	for _, value := range header.Values("Trailer") {
		for name := range strings.SplitSeq(value, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(name)) == key {
				return true
			}
		}
	}
	return false
}
