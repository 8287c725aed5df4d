package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"flameplane.dev/dataplane/internal/intake"
)

const (
	cart, search = "127.0.0.11", "127.0.0.12" // addresses of pods, which are all this machine's
	wait         = time.Minute
)

// gateway is up or down, and keeps what it took: how often which profile of which labels.
type gateway struct {
	pushv1connect.UnimplementedPusherServiceHandler
	mutex sync.Mutex
	down  bool
	taken map[string]int
	named map[string]map[string]bool // functions by profile
	bad   []string
}

func (g *gateway) Push(_ context.Context, r *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.down {
		return nil, connect.NewError(connect.CodeUnavailable, nil)
	}
	for _, series := range r.Msg.Series {
		labels := map[string]string{}
		for _, label := range series.Labels {
			labels[label.Name] = label.Value
		}
		read, err := profile.ParseData(series.Samples[0].RawProfile)
		if err != nil || labels["node"] != "n1" || labels["__delta__"] != "false" || r.Header().Get("Authorization") != "Bearer secret" {
			g.bad = append(g.bad, fmt.Sprint(labels, err))
			continue
		}
		key := labels["team"] + "/" + labels["service_name"] + "/" + labels["pod"] + " " + labels["__name__"]
		g.taken[key]++
		for _, function := range read.Function {
			if g.named[key] == nil {
				g.named[key] = map[string]bool{}
			}
			g.named[key][function.Name] = true
		}
		for _, sample := range read.Sample {
			for _, name := range sample.Label["span_id"] {
				g.taken[name]++
			}
		}
	}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func (g *gateway) set(down bool) { g.mutex.Lock(); g.down = down; g.mutex.Unlock() }

func (g *gateway) count(what string) int {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.taken[what]
}

// world is a receiver that runs as a program of its own, between a gateway and a node's pods.
type world struct {
	t       testing.TB
	gateway *gateway
	running *exec.Cmd
	said    *bytes.Buffer
	pushes  string
	metrics string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, cart, search)
}

// newWorldOf has these addresses of the pods.
func newWorldOf(t *testing.T, cart, search string) *world {
	t.Helper()
	program := http.NewServeMux()
	program.HandleFunc("GET /debug/pprof/", pprof.Index)
	listener, err := net.Listen("tcp", cart+":0")
	if err != nil {
		t.Fatal(err)
	}
	scraped := &httptest.Server{Listener: listener, Config: &http.Server{Handler: program}}
	scraped.Start()
	t.Cleanup(scraped.Close)
	services := fmt.Sprintf(`{"baseRateHz": 99, "excludedNamespaces": [], "optOutAnnotation": "x/profile", "services": [
		{"service": "cart", "team": "shop", "namespace": "shop", "selector": {"app": "cart"}, "language": "go", "sampleRateHz": 99,
		 "types": ["cpu", "goroutine"], "cpuSource": "ebpf", "labels": {"version": "v", "gitRef": "r", "track": "t"}, "pprofPort": %d},
		{"service": "search", "team": "catalog", "namespace": "shop", "selector": {"app": "search"}, "language": "java", "sampleRateHz": 99,
		 "types": ["cpu"], "cpuSource": "agent", "labels": {"version": "v", "gitRef": "r", "track": "t"}}]}`, listener.Addr().(*net.TCPAddr).Port)
	return started(t, services, map[string]string{"cart-0": cart, "search-0": search}, time.Second)
}

// started has these services, addresses by pod, and time between two scrapes.
func started(t testing.TB, services string, addresses map[string]string, every time.Duration) *world {
	t.Helper()
	w := &world{t: t, gateway: &gateway{taken: map[string]int{}, named: map[string]map[string]bool{}}, said: &bytes.Buffer{}}
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(w.gateway))
	taking := httptest.NewServer(mux)
	t.Cleanup(taking.Close)
	folder := t.TempDir()
	for name, text := range map[string]string{"services.json": services, "token": "secret"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.pushes, w.metrics = free(t), free(t)
	w.running = exec.Command(os.Args[0], "--listen="+w.pushes, "--services="+filepath.Join(folder, "services.json"), "--every="+every.String(),
		"--gateway="+taking.URL, "--gateway-token="+filepath.Join(folder, "token"), "--metrics="+w.metrics)
	w.running.Env = []string{apiServer + "=" + pods(t, addresses), "NODE_NAME=n1"}
	w.running.Stderr = w.said
	if err := w.running.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.running.Process.Kill(); _ = w.running.Wait() })
	w.eventually("it is ready", func() bool { return w.get("/ready") == "ok\n" && w.get("/healthz") == "ok\n" })
	return w
}

func (w *world) get(path string) string {
	response, err := http.Get("http://" + w.metrics + path)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// eventually asks until it is so. What it waits for has no other way to be seen.
func (w *world) eventually(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	_ = w.running.Process.Kill()
	_ = w.running.Wait()
	w.t.Fatalf("never: %s\n%s", what, w.said)
}

// stops by the signal of the kubelet, and is what the program ends with.
func (w *world) stops() error {
	if err := w.running.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	return w.running.Wait()
}

// push pushes as an agent inside the pod at an address does.
func (w *world) push(address, format string, body []byte) int {
	w.t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	response, err := client.Post("http://"+w.pushes+"/ingest?name=x&format="+format, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// numbered is a profile that can be told from others.
func numbered(t *testing.T, number int) []byte {
	t.Helper()
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "wall", Unit: "nanoseconds"}},
		Sample:     []*profile.Sample{{Value: []int64{1}, Label: map[string][]string{"span_id": {fmt.Sprintf("%016x", number)}}}},
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func free(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// pods is an API server that knows these, each of the app that its name begins with, and whose watches say nothing.
func pods(t testing.TB, addresses map[string]string) string {
	t.Helper()
	list := core.PodList{TypeMeta: meta.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: meta.ListMeta{ResourceVersion: "1"}}
	for name, address := range addresses {
		app, _, _ := strings.Cut(name, "-")
		list.Items = append(list.Items, core.Pod{
			ObjectMeta: meta.ObjectMeta{UID: types.UID(name), Namespace: "shop", Name: name, Labels: map[string]string{"app": app}},
			Status:     core.PodStatus{Phase: core.PodRunning, PodIPs: []core.PodIP{{IP: address}}},
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/pods" || r.URL.Query().Get("fieldSelector") != "spec.nodeName=n1" {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "" {
			_ = json.NewEncoder(w).Encode(list)
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

func unzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	raw, err := intake.Unpack(text, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
