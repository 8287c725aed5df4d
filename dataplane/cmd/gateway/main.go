// The gateway: the only door to the backend, both ways. What it does is in docs/access.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	// The image holds this program alone: where there are no root certificates, the issuer's is judged by these.
	_ "golang.org/x/crypto/x509roots/fallback"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/caller"
	"flameplane.dev/dataplane/internal/door"
	"flameplane.dev/dataplane/internal/grants"
	"flameplane.dev/dataplane/internal/settings"
)

const (
	reload     = 2 * time.Second
	drain      = 30 * time.Second // the pod's grace period is 60
	settle     = 5 * time.Second  // for the records of requests that were cut off then
	headerTime = 10 * time.Second
	bodyTime   = 30 * time.Second // a body that takes longer is not sent to be read
	answerTime = 3 * time.Minute
	// Nobody counts what comes before somebody is known, nor what HTTP/2 takes in while its handler waits. A header of many
	// short lines takes eighteen times its bytes: with the 4 kB that Go adds, some 145 kB.
	headerBytes  = 4 << 10
	receiveBytes = 64 << 10
	idleTime     = 2 * time.Minute
	issuerTime   = 10 * time.Second
	// Questions to the API server per second, and at once. client-go's own 5 would hold up the pushes of some 150 nodes,
	// each of whose tokens is asked about twice a minute.
	askedPerSecond, askedAtOnce = 100, 200
)

type options struct {
	listen, metrics, audit, replica, namespace string
	folders                                    settings.Folders
	every                                      time.Duration // after which lines are shipped
	drain                                      time.Duration // for which requests may finish at a stop
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := run(ctx, parsed(), os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "gateway: %v\n", err)
		os.Exit(1)
	}
}

func parsed() options {
	o := options{every: time.Minute, drain: drain}
	flag.StringVar(&o.listen, "listen", ":4040", "address of the API")
	flag.StringVar(&o.metrics, "metrics", ":4041", "address of /metrics, /healthz and /ready")
	flag.StringVar(&o.folders.Config, "config", "", "gateway.yaml; read again when it changes")
	flag.StringVar(&o.folders.Gate, "ci-gate", "", "folder with trust.yaml and services.yaml; likewise")
	flag.StringVar(&o.folders.Grants, "grants", "", "folder with grants to export; likewise, and it may be missing")
	flag.StringVar(&o.audit, "audit", "", "folder for the audit log")
	flag.Parse()
	o.replica, o.namespace = os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE")
	return o
}

func (o options) check() error {
	for name, value := range map[string]string{"-config": o.folders.Config, "-ci-gate": o.folders.Gate, "-audit": o.audit} {
		if value == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	if o.replica == "" {
		return errors.New("POD_NAME is not set: the audit log says which replica wrote it")
	}
	return nil
}

func run(ctx context.Context, o options, records io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "flameplane_gateway_reloads_total", Help: "Changed settings that were read, by outcome.",
	}, []string{"outcome"})
	registry.MustRegister(reloads)
	watched, err := settings.Watch(o.folders, func(err error) {
		if err != nil {
			slog.Error("what is declared cannot be read; the last good state stays", "err", err)
			reloads.WithLabelValues("failed").Inc()
			return
		}
		slog.Info("read what is declared anew")
		reloads.WithLabelValues("read").Inc()
	})
	if err != nil {
		return err
	}
	state := watched.State().Gateway
	backend, err := door.NewBackend(state.Backend, state.Limits.AnswerMegabytes, registry)
	if err != nil {
		return err
	}
	reviews, store, err := kubernetes(o.namespace)
	if err != nil {
		return err
	}
	log, err := openLog(ctx, o, state.Audit, records, registry)
	if err != nil {
		return err
	}
	defer log.close()
	handler := door.New(door.Parts{
		Settings: watched, Callers: caller.NewVerifier(&http.Client{Timeout: issuerTime}, reviews), Journal: log.journal,
		Anchors: log.anchors(), Grants: store, Backend: backend, Metrics: door.NewMetrics(registry),
	})
	go watched.Run(ctx, reload)
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "flameplane_gateway_connections_refused_total", Help: "Connections that were too many at once, of all or from one address.",
	})
	registry.MustRegister(refused)
	return serve(ctx, o, handler, status(registry, backend), refused)
}

// inCluster says where the API server is; tests have a stand-in of it.
var inCluster = rest.InClusterConfig

// kubernetes is the API server, if there is one: without it, no service account counts and no grant is good.
func kubernetes(namespace string) (caller.Reviews, grants.Store, error) {
	config, err := inCluster()
	if errors.Is(err, rest.ErrNotInCluster) {
		slog.Warn("not in a cluster: no service accounts, and no exports")
		return nil, grants.None{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	config.QPS, config.Burst = askedPerSecond, askedAtOnce
	tokens, err := authentication.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	leases, err := coordination.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	return tokens.TokenReviews(), grants.NewLeases(leases.Leases(namespace)), nil
}

func status(registry *prometheus.Registry, backend *door.Backend) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if err := backend.Ready(r.Context()); err != nil {
			http.Error(w, "the backend cannot be reached: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// serve runs both servers until the context ends, then lets the requests that are under way finish. Those that take too
// long are cut off, and their records waited for: once it returns the log is closed, and nobody may be answered any more.
func serve(ctx context.Context, o options, api, status http.Handler, refused prometheus.Counter) error {
	var under sync.WaitGroup
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under.Add(1)
		defer under.Done()
		api.ServeHTTP(w, r)
	})
	plain := new(http.Protocols)
	plain.SetHTTP1(true)
	plain.SetUnencryptedHTTP2(true) // gRPC; TLS ends at what stands before the gateway
	servers := []*http.Server{
		{Addr: o.listen, Handler: counted, Protocols: plain},
		{Addr: o.metrics, Handler: status},
	}
	failed := make(chan error, len(servers))
	for _, server := range servers {
		server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout = headerTime, bodyTime, answerTime
		server.IdleTimeout, server.MaxHeaderBytes = idleTime, headerBytes
		server.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerConnection: receiveBytes, MaxReceiveBufferPerStream: receiveBytes}
		go func() {
			listener, err := net.Listen("tcp", server.Addr)
			if err == nil {
				err = server.Serve(bounded(listener, refused))
			}
			failed <- err
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.drain)
	defer cancel()
	for _, server := range servers {
		if stopped := server.Shutdown(late); stopped != nil {
			err = errors.Join(err, stopped, server.Close()) // no answer reaches anybody after this
		}
	}
	finished := make(chan struct{})
	go func() { under.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(settle):
		slog.Error("requests that were cut off are still under way: their records are lost")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
