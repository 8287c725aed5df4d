// The node agent: “loader“ loads the BPF programs and ends, “agent“ samples with CAP_PERFMON and nothing else. What it
// does is in docs/agent.md.
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

	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/preflight"
	"flameplane.dev/dataplane/internal/seccomp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "agent: %v\n", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("say what to do: loader or agent")
	}
	switch arguments[0] {
	case "loader":
		return load(arguments[1:])
	case "agent":
		o, err := parsed(arguments[1:])
		if err != nil {
			return err
		}
		return run(ctx, o)
	}
	return fmt.Errorf("%q is neither loader nor agent", arguments[0])
}

// load leaves the pins and the profile, so that nobody needs CAP_BPF afterwards.
func load(arguments []string) error {
	flags := flag.NewFlagSet("loader", flag.ContinueOnError)
	folder := flags.String("pins", "", "folder of a bpffs where the programs are pinned; what lies there is replaced")
	profile := flags.String("seccomp-profile", "", "file for the agent's seccomp profile")
	gid := flags.Int("gid", -1, "group of the agent, which opens the pins")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *folder == "" || *gid < 0 {
		return errors.New("loader: -pins and -gid are needed")
	}
	here, err := ready(preflight.BPF)
	if err != nil {
		return err
	}
	if err := pins.Load(*folder, *gid, !here.Whole()); err != nil {
		return here.Explain(err)
	}
	slog.Info("the programs are loaded", "pins", *folder, "kernel", here.Release)
	if *profile == "" {
		return nil
	}
	return seccomp.Write(*profile)
}

// ready says what the node lacks, for what makes these system calls.
func ready(calls ...string) (preflight.Node, error) {
	here, err := preflight.Here()
	if err != nil {
		return here, err
	}
	for _, warning := range here.Warnings() {
		slog.Warn(warning)
	}
	return here, here.Check(calls...)
}
