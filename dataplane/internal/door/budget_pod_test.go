package door

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"google.golang.org/protobuf/proto"
)

// As in the pod: at GOMEMLIMIT, with ten times asked at once what fits, the program stays below what it may have, and
// all that fits alone is answered, one after the other.
func TestManyLargeAnswersStayInsideThePod(t *testing.T) {
	const limit, pod = 460 << 20, 512 << 20 // components/gateway.py
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	w := roomy(t, 12, wide(t, 11<<20))
	w.door.(*Door).budget.patience = 5 * time.Minute // as long as it takes with the race detector
	body := []byte(strings.Repeat(" ", 11<<20) + pushOf("payments"))
	runtime.GC()
	debug.FreeOSMemory()
	var most, answered, refused atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		now := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for {
			metrics.Read(now) // stops nobody, as ReadMemStats does
			most.Store(max(most.Load(), int64(now[0].Value.Uint64()-now[1].Value.Uint64())))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			token, path, kind, text := w.person(reader), stacks, "application/proto", inProtobuf(t)
			switch i % 4 {
			case 2:
				kind, text = "application/json", []byte(stacktracesOf(""))
			case 3:
				token, path, kind, text = w.program(agent), push, "application/json", body
			}
			request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text))
			request.Header.Set("Content-Type", kind)
			request.Header.Set("Authorization", "Bearer "+token)
			answer := &nothing{}
			w.door.ServeHTTP(answer, request)
			if answer.status == http.StatusOK {
				answered.Add(1)
			} else {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	close(stop)
	<-stopped
	if most.Load() > pod || answered.Load() != 18 || refused.Load() != 6 { // JSON of so much does not fit even alone
		t.Errorf("%d MB at most; %d were answered, %d refused", most.Load()>>20, answered.Load(), refused.Load())
	}
}

func inProtobuf(t *testing.T) []byte {
	start, end := window()
	text, err := proto.Marshal(&querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: `{service_name="checkout"}`, Start: start, End: end})
	if err != nil {
		t.Error(err)
	}
	return text
}

// nothing takes an answer and keeps none of it.
type nothing struct {
	header http.Header
	status int
}

func (n *nothing) Header() http.Header {
	if n.header == nil {
		n.header = http.Header{}
	}
	return n.header
}
func (n *nothing) WriteHeader(status int)         { n.status = status }
func (n *nothing) Write(text []byte) (int, error) { return len(text), nil }
