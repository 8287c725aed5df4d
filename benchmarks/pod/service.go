package main

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"github.com/grafana/pyroscope-go/godeltaprof"
)

const rate = 99 // Hz

type order struct {
	ID    string            `json:"id"`
	Lines []line            `json:"lines"`
	Notes map[string]string `json:"notes"`
}

type line struct {
	SKU      string  `json:"sku"`
	Price    float64 `json:"price"`
	Quantity int     `json:"quantity"`
}

// shop is a service as there are many: JSON in and out, a cache under a lock, templates, compression, signatures.
type shop struct {
	mutex sync.RWMutex
	cache map[string]order
	page  *template.Template
	sku   *regexp.Regexp
}

func newShop() *shop {
	page := `<h1>{{.ID}}</h1><table>{{range .Lines}}<tr><td>{{.SKU}}</td><td>{{printf "%.2f" .Price}}</td></tr>{{end}}</table>`
	return &shop{cache: map[string]order{}, page: template.Must(template.New("order").Parse(page)), sku: regexp.MustCompile(`^[A-Z]{2,4}-\d+(-[a-z]+)*$`)}
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("GET /orders/{id}", s.show)
	mux.HandleFunc("GET /report", s.report)
	return mux
}

func (s *shop) place(w http.ResponseWriter, r *http.Request) {
	var one order
	if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, each := range one.Lines {
		if !s.sku.MatchString(each.SKU) {
			http.Error(w, "no such thing", http.StatusBadRequest)
			return
		}
	}
	signature := hmac.New(sha256.New, []byte("key"))
	_ = json.NewEncoder(signature).Encode(one)
	s.mutex.Lock()
	s.cache[one.ID] = one
	s.mutex.Unlock()
	fmt.Fprintf(w, "%x", signature.Sum(nil))
}

func (s *shop) show(w http.ResponseWriter, r *http.Request) {
	s.mutex.RLock()
	one, ok := s.cache[r.PathValue("id")]
	s.mutex.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	zipped := gzip.NewWriter(w)
	_ = s.page.Execute(zipped, one)
	_ = zipped.Close()
}

func (s *shop) report(w http.ResponseWriter, _ *http.Request) {
	totals := map[string]float64{}
	s.mutex.RLock()
	for _, one := range s.cache {
		for _, each := range one.Lines {
			totals[strings.ToLower(each.SKU)] += each.Price * float64(each.Quantity)
		}
	}
	s.mutex.RUnlock()
	names := make([]string, 0, len(totals))
	for name := range totals {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for _, name := range names {
		fmt.Fprintf(w, "%s %.2f\n", name, totals[name])
	}
}

// visit asks the service as its callers do, over a socket, until the time is over.
func visit(url string, until time.Time) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	ask := func(method, path string, body []byte) {
		request, _ := http.NewRequest(method, url+path, bytes.NewReader(body))
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	for time.Now().Before(until) {
		one := order{ID: fmt.Sprint(random.IntN(500)), Notes: map[string]string{"to": "door", "gift": "yes"}}
		for range 1 + random.IntN(20) {
			one.Lines = append(one.Lines, line{fmt.Sprintf("AB-%d-red", random.IntN(300)), random.Float64() * 100, 1 + random.IntN(5)})
		}
		text, _ := json.Marshal(one)
		ask(http.MethodPost, "/orders", text)
		for range 3 {
			ask(http.MethodGet, "/orders/"+fmt.Sprint(random.IntN(500)), nil)
		}
		if random.IntN(20) == 0 {
			ask(http.MethodGet, "/report", nil)
		}
	}
}

// capture runs the service under load and profiles it: all its CPU in one profile, and the heap by windows.
func capture(length time.Duration) (*profile.Profile, []*profile.Profile, error) {
	server := httptest.NewServer(newShop().routes())
	defer server.Close()
	end := time.Now().Add(length)
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() { visit(server.URL, end) })
	}
	var cpu bytes.Buffer
	runtime.SetCPUProfileRate(rate) // StartCPUProfile would take 100, and says on standard error that it does not
	if err := pprof.StartCPUProfile(&cpu); err != nil {
		return nil, nil, err
	}
	var heaps []*profile.Profile
	for deltas := godeltaprof.NewHeapProfiler(); time.Now().Before(end); {
		time.Sleep(min(window, time.Until(end)))
		var heap bytes.Buffer
		if err := deltas.Profile(&heap); err != nil {
			return nil, nil, err
		}
		one, err := profile.Parse(&heap)
		if err != nil {
			return nil, nil, err
		}
		heaps = append(heaps, one)
	}
	pprof.StopCPUProfile()
	visitors.Wait()
	all, err := profile.Parse(&cpu)
	if err != nil || len(heaps) < 2 {
		return nil, nil, fmt.Errorf("%d windows of the heap were captured: %w", len(heaps), err)
	}
	return all, heaps[1:], nil // the first has all that came before
}
