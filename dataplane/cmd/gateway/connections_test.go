package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/http2"
)

// listening serves a handler as the gateway serves its own, and says where.
func listening(t *testing.T, handler http.Handler) (address string, refused prometheus.Counter) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	_ = free.Close()
	refused = prometheus.NewCounter(prometheus.CounterOpts{Name: "refused", Help: "."})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- serve(ctx, options{listen: address, metrics: "127.0.0.1:0"}, handler, http.NotFoundHandler(), refused)
	}()
	t.Cleanup(func() { cancel(); <-done })
	for range 1200 {
		if one, err := net.Dial("tcp", address); err == nil {
			_ = one.Close()
			return address, refused
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nobody listens")
	return
}

func dialed(t *testing.T, from, to string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	one, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.Close() })
	return one
}

// answered asks on a connection; false where it was closed instead.
func answered(t *testing.T, one net.Conn, header string) (int, bool) {
	t.Helper()
	if _, err := fmt.Fprintf(one, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", header); err != nil {
		return 0, false
	}
	answer, err := http.ReadResponse(bufio.NewReader(one), nil)
	if err != nil {
		return 0, false
	}
	_ = answer.Body.Close()
	return answer.StatusCode, true
}

var yes = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

func TestOneAddressHasNotAllConnections(t *testing.T) {
	address, refused := listening(t, yes)
	var open []net.Conn
	for range mostOfOne {
		one := dialed(t, "127.0.0.2", address)
		if status, ok := answered(t, one, ""); !ok || status != http.StatusNoContent {
			t.Fatalf("connection %d: %d", len(open), status)
		}
		open = append(open, one)
	}
	if _, ok := answered(t, dialed(t, "127.0.0.2", address), ""); ok || testutil.ToFloat64(refused) != 1 {
		t.Errorf("one more was let in, %v were refused", testutil.ToFloat64(refused))
	}
	if _, ok := answered(t, dialed(t, "127.0.0.3", address), ""); !ok {
		t.Error("another address was not let in")
	}
	_ = open[0].Close()
	for range 1200 {
		if _, ok := answered(t, dialed(t, "127.0.0.2", address), ""); ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("whoever leaves makes no room")
}

func TestThereAreOnlySoManyConnections(t *testing.T) {
	c := bounded(nil, nil)
	for i := range mostConnections {
		if !c.enter(fmt.Sprint(i)) {
			t.Fatal(i)
		}
	}
	if c.enter("other") {
		t.Error("one too many")
	}
	for i := range mostConnections {
		c.leave(fmt.Sprint(i))
	}
	if !c.enter("other") || len(c.open) != 1 {
		t.Error(c.open)
	}
}

func TestLongHeadersAreRefused(t *testing.T) {
	address, _ := listening(t, yes)
	for bytes, want := range map[int]int{6 << 10: http.StatusNoContent, 9 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		header := strings.Repeat("a: b\r\n", bytes/6)
		if status, ok := answered(t, dialed(t, "127.0.0.1", address), header); !ok || status != want {
			t.Errorf("%d bytes: %d", bytes, status)
		}
	}
}

// What a client may send ahead of who reads it.
func TestHTTP2TakesLittleAhead(t *testing.T) {
	address, _ := listening(t, yes)
	one := dialed(t, "127.0.0.1", address)
	if _, err := one.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(one, one)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := framer.WritePing(false, [8]byte{}); err != nil {
		t.Fatal(err)
	}
	stream, connection := uint32(65535), uint32(65535) // RFC 9113, section 6.9.2: until somebody says otherwise
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if value, ok := f.Value(http2.SettingInitialWindowSize); ok {
				stream = value
			}
		case *http2.WindowUpdateFrame:
			connection += f.Increment
		case *http2.PingFrame:
			if stream > receiveBytes || connection > receiveBytes {
				t.Errorf("%d bytes of a stream, %d of a connection", stream, connection)
			}
			return
		}
	}
}
