package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flameplane.dev/dataplane/internal/devstore"
)

func TestHelp(t *testing.T) {
	var help bytes.Buffer
	if _, err := flags([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, wanted := range []string{"Pyroscope", "for development and tests", "-data", "-overrides", "31d", "a|b is refused"} {
		if !strings.Contains(help.String(), wanted) {
			t.Errorf("the help does not say %q", wanted)
		}
	}
}

func TestFlags(t *testing.T) {
	o, err := flags([]string{"-data", "d", "-retention-period", "2h", "-querier.max-query-length", "90d"}, io.Discard)
	if err != nil || o.store.Limits.RetentionPeriod.String() != "2h" || o.store.Limits.MaxQueryLength.String() != "90d" || o.listen != "127.0.0.1:4040" {
		t.Fatal(o, err)
	}
	for wanted, arguments := range map[string][]string{
		"-data is missing":      {},
		"no flag":               {"-data", "d", "more"},
		"ADDRESS:PORT":          {"-data", "d", "-listen", "4040"},
		"not defined":           {"-data", "d", "-none"},
		"retention-period":      {"-data", "d", "-retention-period", "soon"},
		"1 or more":             {"-data", "d", "-max-body-mb", "0"},
		"1s or more":            {"-data", "d", "-sweep-interval", "0s"},
		"max_profile_size_byte": {"-data", "d", "-validation.max-profile-size-bytes", "-1"},
	} {
		if _, err := flags(arguments, io.Discard); err == nil || !strings.Contains(err.Error(), wanted) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v; it should say %q in one line", arguments, err, wanted)
		}
	}
}

// TestDrain ends the server while a request is under way: it is answered, new ones are not taken, and run returns.
func TestDrain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	limits := devstore.DefaultLimits()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	folder := filepath.Join(t.TempDir(), "made", "when missing")
	go func() {
		ended <- run(ctx, &options{listen: address, store: devstore.Options{Data: folder, Limits: &limits}})
	}()
	for range 100 {
		response, err := http.Get("http://" + address + "/ready")
		if err == nil {
			_ = response.Body.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	body, slow := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		request, _ := http.NewRequest(http.MethodPost, "http://"+address+"/ingest?name=x&format=pprof", body)
		request.Header.Set("X-Scope-OrgID", "a")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	if _, err := slow.Write([]byte("no ")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the handler reads
	end()
	time.Sleep(100 * time.Millisecond)
	if _, err := slow.Write([]byte("pprof")); err != nil || slow.Close() != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusUnprocessableEntity {
		t.Errorf("the request under way was answered with %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
