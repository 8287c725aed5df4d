package caller

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// once asks an address once in a few seconds, and gives the same answer meanwhile. go-oidc fetches keys for every token
// that names one that it does not know: without this, whoever makes up tokens makes the issuer answer for each.
type once struct {
	next  http.RoundTripper
	mutex sync.Mutex
	known map[string]*fetched
}

type fetched struct {
	mutex  sync.Mutex
	until  time.Time
	status int
	header http.Header
	body   []byte
	err    error
}

const (
	onceFor     = 2 * time.Second
	longestKeys = 1 << 20 // bytes
)

func newOnce(next http.RoundTripper) *once {
	if next == nil {
		next = http.DefaultTransport
	}
	return &once{next: next, known: map[string]*fetched{}}
}

// RoundTrip answers a GET; the addresses are those of the declared issuers, so they are few.
func (o *once) RoundTrip(request *http.Request) (*http.Response, error) {
	o.mutex.Lock()
	one := o.known[request.URL.String()]
	if one == nil {
		one = &fetched{}
		o.known[request.URL.String()] = one
	}
	o.mutex.Unlock()
	one.mutex.Lock()
	defer one.mutex.Unlock()
	if !time.Now().Before(one.until) {
		one.fetch(o.next, request)
	}
	if one.err != nil {
		return nil, one.err
	}
	return &http.Response{
		Status: http.StatusText(one.status), StatusCode: one.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: one.header.Clone(), Body: io.NopCloser(bytes.NewReader(one.body)), ContentLength: int64(len(one.body)), Request: request,
	}, nil
}

func (f *fetched) fetch(next http.RoundTripper, request *http.Request) {
	response, err := next.RoundTrip(request)
	f.err = err
	if err == nil {
		f.status, f.header = response.StatusCode, response.Header
		f.body, f.err = io.ReadAll(io.LimitReader(response.Body, longestKeys))
		_ = response.Body.Close()
	}
	f.until = time.Now().Add(onceFor)
}
