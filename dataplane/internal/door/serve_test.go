package door

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

const (
	serveBackend  = "FLAMEPLANE_DOOR_BACKEND"  // address of a backend, or devstore
	serveRequests = "FLAMEPLANE_DOOR_REQUESTS" // file for what came
)

// sent is one request as it came, and what was answered.
type sent struct {
	Method, Path, Query, ContentType, ContentEncoding, Agent string
	Status                                                   int
}

// TestServeForOthers lets tests in another language (tests/gateway_door.py) call the real door: it stands before the
// backend that the environment names, says where and with which tokens, and ends with its standard input.
func TestServeForOthers(t *testing.T) {
	url := os.Getenv(serveBackend)
	if url == "" {
		t.Skipf("there is nobody to serve: $%s is not set", serveBackend)
	}
	if url == "devstore" {
		url = ofDevstore(t)
	}
	w := newWorld(t)
	text := strings.NewReplacer("BACKEND", url, "ISSUER", w.issuer.url, "windowDays: 31", "windowDays: 90").Replace(gatewayYAML)
	w.write(w.folders.Config, text)
	w.start(w.leases)
	log, err := os.Create(os.Getenv(serveRequests))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	said, err := json.Marshal(map[string]string{
		"url":        served(t, noted(w.door, json.NewEncoder(log))),
		"node":       w.program(agent),
		"downsample": w.program("flameplane-system/flameplane-downsample"),
		"engineer":   w.person("payments-engineers"),
		"platform":   w.person("platform"),
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("READY %s\n", said)
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, record := range w.journal.all() {
		line, err := json.Marshal(map[string]any{
			"operation": record.Operation, "tenant": record.Tenant, "allowed": record.Allowed, "rule": record.Rule, "reason": record.Reason,
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("RECORD %s\n", line)
	}
}

// noted writes down each request, one line of JSON.
func noted(next http.Handler, log *json.Encoder) http.Handler {
	var mutex sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		one := sent{r.Method, r.URL.Path, r.URL.RawQuery, kind, r.Header.Get("Content-Encoding"), r.UserAgent(), http.StatusOK}
		next.ServeHTTP(&statusOf{w, &one.Status}, r)
		mutex.Lock()
		defer mutex.Unlock()
		_ = log.Encode(one)
	})
}

type statusOf struct {
	http.ResponseWriter
	status *int
}

func (s *statusOf) WriteHeader(status int) {
	*s.status = status
	s.ResponseWriter.WriteHeader(status)
}
