// The receiver of a node: takes what in-process agents push and scrapes Go programs, with no capability at all. What it
// does is in docs/receiver.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"flameplane.dev/dataplane/internal/jfr"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == jfr.Command { // started by the receiver itself
		os.Exit(jfr.Child(os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	o, err := parsed(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "receiver: %v\n", err)
		os.Exit(1)
	}
}
