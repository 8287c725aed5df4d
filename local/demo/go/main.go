// Command checkout prices carts and signs the resulting orders.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	address         = ":8080"
	profileAddress  = ":6060"
	shutdownTimeout = 10 * time.Second
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("checkout ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	runtime.SetMutexProfileFraction(100)
	runtime.SetBlockProfileRate(int(time.Millisecond))

	till := newTill()
	servers := []*http.Server{
		{Addr: address, Handler: routes(till), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second},
		{Addr: profileAddress, Handler: profileRoutes(), ReadHeaderTimeout: 5 * time.Second},
	}
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() {
			if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	go generateLoad(ctx, till)
	slog.Info("checkout is listening", "address", address, "profiles", profileAddress)

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("checkout is stopping")
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var err error
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(grace))
	}
	return err
}

func routes(till *till) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		order := till.checkout(randomCart())
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(order); err != nil {
			slog.Warn("could not write the order", "error", err)
		}
	})
	return mux
}
