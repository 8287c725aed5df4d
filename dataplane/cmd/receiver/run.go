package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/forward"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/jfr"
	"flameplane.dev/dataplane/internal/podlist"
	"flameplane.dev/dataplane/internal/push"
	"flameplane.dev/dataplane/internal/received"
	"flameplane.dev/dataplane/internal/scrape"
)

const (
	queueBytes  = 8 << 20  // of profiles that wait for the gateway
	memoryGoal  = 48 << 20 // of the container's 128 MiB; jfr.Most of them are for recordings of the JVM
	connections = 256
	beat        = time.Second
	healthy     = time.Minute
	leaveTime   = 10 * time.Second // for pushes that have begun
	endTime     = 15 * time.Second // for what waits; the pod has 30 seconds
)

// inCluster says where the API server is.
var inCluster = rest.InClusterConfig

// receiver is all that runs.
type receiver struct {
	node     *identity.Node
	follow   *identity.Follower
	pusher   *push.Pusher
	forward  *forward.Forward
	scraper  *scrape.Scraper
	received *received.Receiver
	registry *prometheus.Registry
	last     atomic.Int64 // when the loop last came round
}

func run(ctx context.Context, o options) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	declared, err := identity.ReadDeclared(o.services)
	if err != nil {
		return err
	}
	r, err := assembled(o, declared)
	if err != nil {
		return err
	}
	pods, err := podlist.InCluster(inCluster, o.node, r.node.SetPods)
	if err != nil {
		return err
	}
	pushes, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer pushes.Close()
	status, err := net.Listen("tcp", o.metrics)
	if err != nil {
		return err
	}
	defer status.Close()
	go pods.Run(ctx)
	slog.Info("receiving", "pushes", pushes.Addr().String(), "metrics", status.Addr().String())
	return r.serve(ctx, netutil.LimitListener(pushes, connections), status)
}

func assembled(o options, declared *identity.Declared) (*receiver, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	losses := push.NewLosses(o.node, registry)
	apart, err := jfr.NewApart()
	if err != nil {
		return nil, err
	}
	node := identity.NewNode(o.node, declared)
	pusher := push.New(o.gateway, o.token, queueBytes, losses.Dropped, registry)
	out := forward.New(pusher, losses.GitRefMissing)
	r := &receiver{
		node: node, follow: identity.NewFollower(o.services, declared), pusher: pusher, forward: out, registry: registry,
		scraper: scrape.New(node, out.Send, o.every, registry), received: received.New(node, out.Send, apart.Parse, registry),
	}
	r.last.Store(time.Now().UnixNano())
	return r, nil
}

// serve works until the context ends, and then sends what there is.
func (r *receiver) serve(ctx context.Context, pushes, status net.Listener) error {
	failed := make(chan error, 2)
	server := &http.Server{
		Handler: r.received.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	told := &http.Server{Handler: r.status(), ReadHeaderTimeout: 10 * time.Second}
	defer told.Close()
	defer server.Close()
	go func() { failed <- server.Serve(pushes) }()
	go func() { failed <- told.Serve(status) }()
	sending := make(chan struct{})
	go func() { defer close(sending); r.pusher.Run(ctx) }()
	go r.forward.Run(ctx)

	working, stop := context.WithCancel(ctx)
	defer stop()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if changed := r.follow.Look(); changed != nil {
			r.node.Declare(changed)
		}
		r.scraper.Look(working)
		r.last.Store(time.Now().UnixNano())
		select {
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			stop()
			r.end(server, sending)
			return nil
		case <-tick.C:
		}
	}
}

func (r *receiver) end(server *http.Server, sending <-chan struct{}) {
	leaving, left := context.WithTimeout(context.Background(), leaveTime)
	defer left()
	if err := server.Shutdown(leaving); err != nil {
		slog.Warn("pushes were cut off", "err", err)
	}
	r.scraper.Wait()
	<-sending
	r.forward.Flush()
	ending, ended := context.WithTimeout(context.Background(), endTime)
	defer ended()
	r.pusher.Flush(ending)
}

func (r *receiver) status() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}))
	alive := func(w http.ResponseWriter) bool {
		since := time.Since(time.Unix(0, r.last.Load()))
		if since > healthy {
			http.Error(w, fmt.Sprintf("nothing was done for %v", since), http.StatusServiceUnavailable)
		}
		return since <= healthy
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if alive(w) {
			fmt.Fprintln(w, "ok")
		}
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case !alive(w):
		case !r.node.Listed():
			http.Error(w, "the pods of this node are not known yet", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
	return mux
}
