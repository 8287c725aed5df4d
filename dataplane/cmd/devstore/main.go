// devstore: what stands in for Pyroscope on a developer's machine and in tests. What it is not is in docs/devstore.md.
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
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"flameplane.dev/dataplane/internal/devstore"
)

const (
	drain      = 30 * time.Second
	headerTime = 10 * time.Second
	bodyTime   = time.Minute
	answerTime = 3 * time.Minute
	idleTime   = 2 * time.Minute
)

const about = `devstore stores profiles on one machine and answers the queries of this platform's own clients:
push.v1, /ingest (pprof, JFR), OTLP profiles, and of querier.v1 ProfileTypes, LabelNames, LabelValues, Series,
SelectSeries, SelectMergeStacktraces (flame graph, pprof), SelectMergeSpanProfile, SelectMergeProfile, Diff and
GetProfileStats. Connect, gRPC and gRPC-Web on one port, without TLS.

It is for development and tests. It believes whoever reaches it, keeps everything in one file on one disk, and answers
for one tenant at a time (X-Scope-OrgID: a|b is refused). For production, and for everything else that Pyroscope has
(object storage, replicas, symbolization, exemplars, heat maps, recording rules, its UI), there is Pyroscope.

  devstore -data FOLDER [-listen ADDRESS] [-metrics ADDRESS] [-overrides OVERRIDES.YAML] [limits]

Flags; the limits are Pyroscope's by name, meaning and default, for tenants that the file does not name:
`

type options struct {
	listen, metrics string
	store           devstore.Options
}

// flags reads the command line, or says what is wrong with it.
func flags(arguments []string, help io.Writer) (*options, error) {
	limits := devstore.DefaultLimits()
	o := &options{store: devstore.Options{Limits: &limits}}
	set := flag.NewFlagSet("devstore", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&o.listen, "listen", "127.0.0.1:4040", "address; it has no authentication: keep it where only the gateway reaches it")
	set.StringVar(&o.metrics, "metrics", "", "address of /metrics, /healthz and /ready; without it they are on -listen")
	set.StringVar(&o.store.Data, "data", "", "folder of the database; made when it is missing")
	set.StringVar(&o.store.Overrides, "overrides", "", "limits per tenant, in the form of Pyroscope's runtime configuration; read again when it changes, unknown keys do nothing")
	set.IntVar(&o.store.BodyMegabytes, "max-body-mb", devstore.DefaultBodyMegabytes, "size of one request, unpacked")
	set.DurationVar(&o.store.SweepEvery, "sweep-interval", devstore.DefaultSweepEvery, "how often expired profiles are deleted")
	set.Var(&limits.RetentionPeriod, "retention-period", "how long profiles are kept; 0: for ever")
	set.Var(&limits.RejectOlderThan, "validation.reject-older-than", "age of the oldest profile that is taken; 0: any")
	set.Var(&limits.RejectNewerThan, "validation.reject-newer-than", "how far in the future a profile may be; 0: any")
	set.IntVar(&limits.MaxProfileSizeBytes, "validation.max-profile-size-bytes", limits.MaxProfileSizeBytes, "of one profile, unpacked")
	set.IntVar(&limits.MaxProfileSamples, "validation.max-profile-stacktrace-samples", limits.MaxProfileSamples, "samples of one profile")
	set.IntVar(&limits.MaxLabelNames, "validation.max-label-names-per-series", limits.MaxLabelNames, "labels of one series")
	set.Float64Var(&limits.IngestionRateMB, "distributor.ingestion-rate-limit-mb", limits.IngestionRateMB, "a tenant's unpacked megabytes per second; 0: any")
	set.Float64Var(&limits.IngestionBurstSizeMB, "distributor.ingestion-burst-size-mb", limits.IngestionBurstSizeMB, "the same at once")
	set.Var(&limits.MaxQueryLookback, "querier.max-query-lookback", "how far back queries see; 0: any")
	set.Var(&limits.MaxQueryLength, "querier.max-query-length", "longest window of a query; 0: any")
	set.IntVar(&limits.MaxNodesDefault, "querier.max-flamegraph-nodes-default", limits.MaxNodesDefault, "nodes of a flame graph when none are asked for")
	set.IntVar(&limits.MaxNodes, "querier.max-flamegraph-nodes-max", limits.MaxNodes, "nodes that may be asked for")
	err := set.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(help, about)
		set.SetOutput(help)
		set.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	}
	return o, o.check(set.Args())
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag; there are only flags", rest[0])
	case o.store.Data == "":
		return errors.New("-data is missing: the folder to keep profiles in, as -data ./devstore")
	case o.store.BodyMegabytes < 1:
		return fmt.Errorf("-max-body-mb is %d; it must be 1 or more", o.store.BodyMegabytes)
	case o.store.SweepEvery < time.Second:
		return fmt.Errorf("-sweep-interval is %s; it must be 1s or more", o.store.SweepEvery)
	}
	for name, address := range map[string]string{"listen": o.listen, "metrics": o.metrics} {
		if _, _, err := net.SplitHostPort(address); err != nil && (address != "" || name == "listen") {
			return fmt.Errorf("-%s is %q; it must be ADDRESS:PORT, as 127.0.0.1:4040", name, address)
		}
	}
	return o.store.Limits.Check()
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	o, err := flags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "devstore: %v; devstore -h lists the flags\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "devstore: %v\n", err)
		os.Exit(1)
	}
}

// run serves until the context ends; then it takes no new requests, and those under way finish.
func run(ctx context.Context, o *options) error {
	o.store.Registry = prometheus.NewRegistry()
	o.store.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	store, err := devstore.Open(o.store)
	if err != nil {
		return err
	}
	addresses, handlers := []string{o.listen}, []http.Handler{store.Handler()}
	if o.metrics != "" {
		addresses, handlers = append(addresses, o.metrics), append(handlers, store.Status())
	}
	listeners, err := listen(addresses)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	plain := new(http.Protocols)
	plain.SetHTTP1(true)
	plain.SetUnencryptedHTTP2(true) // gRPC
	failed, servers := make(chan error, len(listeners)), make([]*http.Server, len(listeners))
	for i, listener := range listeners {
		servers[i] = &http.Server{
			Handler: handlers[i], Protocols: plain, ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime,
			WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		}
		go func() { failed <- servers[i].Serve(listener) }()
	}
	slog.Info("devstore listens; for production there is Pyroscope", "address", listeners[0].Addr().String(), "data", o.store.Data)
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	for _, server := range servers {
		err = errors.Join(err, server.Shutdown(late))
	}
	return errors.Join(err, store.Close())
}

// listen opens all addresses, or none.
func listen(addresses []string) ([]net.Listener, error) {
	var opened []net.Listener
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			for _, other := range opened {
				err = errors.Join(err, other.Close())
			}
			return nil, err
		}
		opened = append(opened, listener)
	}
	return opened, nil
}
