package door

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"google.golang.org/protobuf/proto"
)

// As in the pod: at GOMEMLIMIT, with more asked at once than fits, the program stays below what it may have.
func TestManyLargeAnswersStayInsideThePod(t *testing.T) {
	const limit, pod = 460 << 20, 512 << 20 // components/gateway.py
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	w := roomy(t, 16, wide(t, 15<<20))
	body := []byte(strings.Repeat(" ", 12<<20) + pushOf("payments"))
	runtime.GC()
	debug.FreeOSMemory()
	var most, answered, refused atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var now runtime.MemStats
		for {
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), int64(now.Sys-now.HeapReleased)))
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
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
	t.Logf("%d MB at most; %d were answered, %d refused", most.Load()>>20, answered.Load(), refused.Load())
	if most.Load() > pod || answered.Load() == 0 || refused.Load() == 0 {
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
