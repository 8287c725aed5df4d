// Package standin is what tests have in place of S3: it takes objects that cannot be overwritten, checks what our
// bucket's policy and Object Lock ask of an upload, and fails or dawdles when told to. It is no S3: it checks no
// signature, and keeps everything in memory.
package standin

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"flameplane.dev/dataplane/internal/settings"
)

// Name of the bucket.
const Name = "audit"

// Store is one bucket.
type Store struct {
	URL string

	mutex   sync.Mutex
	objects map[string][]byte
	fails   bool
	loses   int
	wait    time.Duration
}

// New serves an empty one until the test ends, and sets the credentials of this process to some.
func New(t *testing.T) *Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "stand-in")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stand-in")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	store := &Store{objects: map[string][]byte{}}
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	store.URL = server.URL
	return store
}

// Settings lead to it.
func (s *Store) Settings() settings.AuditBucket {
	return settings.AuditBucket{Bucket: Name, Prefix: "gateway/", Region: "eu-central-1", Endpoint: s.URL}
}

// Fail refuses everything, or does not any more.
func (s *Store) Fail(fails bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.fails = fails
}

// Slow makes every answer wait.
func (s *Store) Slow(wait time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.wait = wait
}

// Lose takes the next objects, but hangs up instead of answering.
func (s *Store) Lose(answers int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.loses = answers
}

// Objects by name.
func (s *Store) Objects() map[string][]byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return maps.Clone(s.objects)
}

func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mutex.Lock()
	wait := s.wait
	s.mutex.Unlock()
	select {
	case <-time.After(wait):
	case <-r.Context().Done(): // nobody waits any more
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	name, ours := strings.CutPrefix(r.URL.Path, "/"+Name+"/")
	sum := sha256.Sum256(body)
	status, code := http.StatusOK, ""
	switch _, there := s.objects[name]; {
	case s.fails:
		status, code = http.StatusServiceUnavailable, "SlowDown"
	case r.Method != http.MethodPut || !ours || !strings.HasPrefix(name, "gateway/"):
		status, code = http.StatusForbidden, "AccessDenied" // the role may do nothing else
	case r.Header.Get("If-None-Match") != "*" || encrypted(r.Header):
		status, code = http.StatusForbidden, "AccessDenied"
	case r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") == "":
		status, code = http.StatusBadRequest, "InvalidRequest" // Object Lock asks for it
	case r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]):
		status, code = http.StatusBadRequest, "BadDigest"
	case there:
		status, code = http.StatusPreconditionFailed, "PreconditionFailed"
	default:
		s.objects[name] = body
		if s.loses > 0 {
			s.loses--
			panic(http.ErrAbortHandler)
		}
	}
	if code != "" {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>by the stand-in</Message></Error>", code)
	}
}

func encrypted(header http.Header) bool {
	for key := range header {
		if strings.HasPrefix(key, "X-Amz-Server-Side-Encryption") {
			return true
		}
	}
	return false
}
