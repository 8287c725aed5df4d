package main

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// A gateway that stops has closed its log before the last lines are shipped, which takes long while the store fails. Who
// still waits for an answer then gets none, and that is on record.
func TestAStopCutsOffWhatItCannotPutOnRecord(t *testing.T) {
	held := make(chan struct{})
	s := newSlowSite(t, held)
	s.start()
	clients := map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": {Transport: &http.Transport{Protocols: new(http.Protocols)}}}
	clients["HTTP/2"].Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	type got struct {
		name   string
		status int
		err    error
	}
	answers, view := make(chan got, len(clients)), s.calls()[0]
	for name, client := range clients {
		go func() {
			status, _, err := s.ask(client, view)
			answers <- got{name, status, err}
		}()
		select {
		case <-s.entered:
		case one := <-answers:
			t.Fatalf("%+v", one)
		}
	}
	s.store.Fail(true)
	ended := make(chan error, 1)
	go func() { ended <- s.end(syscall.SIGTERM) }()
	time.AfterFunc(4*time.Second, func() { close(held) }) // the log is closed by now
	for range clients {
		if one := <-answers; one.err == nil {
			t.Errorf("%s: answered with %d by a gateway whose log is closed", one.name, one.status)
		}
	}
	s.store.Fail(false)
	if err := <-ended; err == nil {
		t.Error("that requests were cut off is not said")
	}
	if lines := s.onRecord(); len(lines) != len(clients) {
		t.Errorf("%d of %d requests are on record: %s", len(lines), len(clients), s.said())
	}
}
