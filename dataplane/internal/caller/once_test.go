package caller

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestAnAddressIsAskedOnce(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer server.Close()
	client := &http.Client{Transport: newOnce(nil)}
	for range 50 {
		for _, path := range []string{"/keys", "/other"} {
			answer, err := client.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if string(text) != path || answer.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s", path, answer.StatusCode, text)
			}
		}
	}
	if asked.Load() > 6 { // twice, and again for every two seconds that this took
		t.Errorf("100 requests asked %d times", asked.Load())
	}
}
