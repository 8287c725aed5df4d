package door

import (
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
)

const (
	invalidArgument = connect.CodeInvalidArgument
	unauthenticated = connect.CodeUnauthenticated
	forbidden       = connect.CodePermissionDenied
	tooMuch         = connect.CodeResourceExhausted
	unavailable     = connect.CodeUnavailable
)

const longestReason = 512 // bytes

// refusal is an answer of the gateway itself. The rule goes on record and is what metrics count; the reason goes to the
// caller too, and holds nothing that the caller did not send or may not know.
type refusal struct {
	code   connect.Code
	rule   string
	reason string
	status int // of HTTP, where the code has another one than Connect gives it
}

func (r *refusal) Error() string { return r.reason }

func (r *refusal) http() int {
	if r.status != 0 {
		return r.status
	}
	switch r.code {
	case invalidArgument:
		return http.StatusBadRequest
	case unauthenticated:
		return http.StatusUnauthorized
	case forbidden:
		return http.StatusForbidden
	case tooMuch:
		return http.StatusTooManyRequests
	case unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func refuse(code connect.Code, rule, reason string) error {
	return &refusal{code: code, rule: rule, reason: brief(reason)}
}

// brief is a few words, whatever the client wrote that they quote: a refusal has no room of its own in the budget, and a
// sign of it can take six bytes of JSON.
func brief(text string) string { return strings.ToValidUTF8(cut(text, longestReason), "") }

func quoted(text string) string { return strconv.Quote(text) }
