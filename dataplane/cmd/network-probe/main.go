// The network probe: whether the cluster enforces NetworkPolicies, as a metric and as its own readiness.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flameplane.dev/dataplane/internal/netprobe"
)

const (
	callTime = 3 * time.Second
	soon     = 2 * time.Second // until it is known
)

func main() {
	var ports netprobe.Ports
	flag.IntVar(&ports.Open, "open", 8090, "port that the policy opens both ways")
	flag.IntVar(&ports.IngressClosed, "ingress-closed", 8091, "port that it opens out, not in")
	flag.IntVar(&ports.EgressClosed, "egress-closed", 8092, "port that it opens in, not out")
	peers := flag.String("peers", "", "name that resolves to the addresses of all pods (headless Service)")
	metrics := flag.String("metrics", ":4041", "address of /metrics, /healthz and /ready")
	every := flag.Duration("every", 30*time.Second, "time between rounds")
	demand := flag.Bool("demand", false, "be ready only where policies are enforced")
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	own, err := netprobe.Addresses(os.Getenv("POD_IPS"))
	if err != nil {
		err = fmt.Errorf("POD_IPS is no list of addresses: %w", err)
	} else if *peers == "" {
		err = errors.New("-peers is missing")
	} else {
		probe := netprobe.NewProbe(ports, own, resolved(*peers), callTime)
		err = run(probe, *metrics, *every, *demand)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "network-probe: %v\n", err)
		os.Exit(1)
	}
}

func resolved(name string) func(context.Context) ([]netip.Addr, error) {
	return func(ctx context.Context) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	}
}

func run(probe *netprobe.Probe, metrics string, every time.Duration, demand bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	registry := prometheus.NewRegistry()
	state := netprobe.NewState(registry, demand)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /ready", state.Ready)
	server := &http.Server{Addr: metrics, Handler: mux, ReadHeaderTimeout: callTime}
	failed := make(chan error, 2)
	go func() { failed <- server.ListenAndServe() }()
	go func() { failed <- netprobe.Listen(ctx, "", probe.Ports) }()
	timer := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return server.Close()
		case err := <-failed:
			return err
		case <-timer.C:
			verdict := probe.Round(ctx)
			if state.Set(verdict, time.Now()) {
				slog.Info(verdict.String())
			}
			if verdict.Known {
				timer.Reset(every)
			} else {
				timer.Reset(soon)
			}
		}
	}
}
