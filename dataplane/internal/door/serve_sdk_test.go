package door

import (
	"encoding/json"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	serveInto    = "FLAMEPLANE_DOOR_SERVE"   // a folder; door.json in it says where the door is
	serveBackend = "FLAMEPLANE_DOOR_BACKEND" // address of a backend; devstore without
)

// sent is one request as it came, and what was answered.
type sent struct {
	Method, Path, Query, ContentType, ContentEncoding, Agent string
	Status                                                   int
}

// TestServe serves the door to programs outside of this process, until it is ended by a signal: the real SDKs of
// tests/upstream/test_sdk_agents.py. Who asks is decided as in all tests here, by tokens that this process makes.
func TestServe(t *testing.T) {
	folder := os.Getenv(serveInto)
	if folder == "" {
		t.Skipf("NOT RUN: serves the door for tests/upstream; $%s names no folder", serveInto)
	}
	address := os.Getenv(serveBackend)
	if address == "" {
		address = ofDevstore(t)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	w := before(t, address)
	log, err := os.Create(filepath.Join(folder, "requests.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	url := served(t, noted(w.door, json.NewEncoder(log)))
	text, _ := json.Marshal(map[string]string{
		"url": url, "agent": w.program(agent), "reader": w.program("flameplane-system/flameplane-downsample"),
	})
	w.write(filepath.Join(folder, "door.partial"), string(text))
	if err := os.Rename(filepath.Join(folder, "door.partial"), filepath.Join(folder, "door.json")); err != nil {
		t.Fatal(err)
	}
	<-ended
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
