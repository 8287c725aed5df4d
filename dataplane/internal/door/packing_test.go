package door

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// An answer is packed for a client that takes it so, for no other, and the backend is never asked to pack.
func TestAnswersArePackedForWhoTakesThem(t *testing.T) {
	w := newWorld(t)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for accepted, encoding := range map[string]string{"gzip": "gzip", "gzip, br": "gzip", "br": "", "identity": "", "": ""} {
		request, _ := http.NewRequest(http.MethodPost, w.url+names, strings.NewReader(query("")))
		request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + w.person(reader)}}
		if accepted != "" {
			request.Header.Set("Accept-Encoding", accepted)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if found := response.Header.Get("Content-Encoding"); found != encoding {
			t.Fatalf("%q: Content-Encoding is %q", accepted, found)
		}
		body := io.Reader(response.Body)
		if encoding != "" {
			if body, err = gzip.NewReader(response.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != `{"names":["of-payments"]}` {
			t.Fatalf("%q: %s %v", accepted, text, err)
		}
	}
	for _, call := range w.backend.all() {
		if found := call.header.Get("Accept-Encoding"); found != "identity" {
			t.Fatalf("the backend was asked for %q", found)
		}
	}
}
