// Command record writes contract/golden anew: what a real Pyroscope answers to contract/cases.
//
//	go run ./contract/cmd/record -url http://127.0.0.1:4040
//
// It pushes to tenants of its own (payments-<time>, ...), so the server may hold other data. It has to run with
// multitenancy on and with Pyroscope's own limits. See docs/contract.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"flameplane.dev/dataplane/contract"
)

func main() {
	url := flag.String("url", "", "the Pyroscope to record from (required)")
	admin := flag.String("admin", "", "where it serves /api/v1/status, if that is another port")
	into := flag.String("into", "contract/golden", "the folder of the answers")
	calm := flag.Duration("calm", time.Minute, "how long no answer may have changed")
	flag.Parse()
	if *url == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *admin == "" {
		*admin = *url
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := record(ctx, *url, *admin, *into, *calm); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, url, admin, into string, calm time.Duration) error {
	built, err := contract.Built(ctx, admin)
	if err != nil {
		return err
	}
	suite, err := contract.Suite()
	if err != nil {
		return err
	}
	now := time.Now()
	play := contract.NewPlay(url, contract.Base(now), fmt.Sprintf("-%d", now.Unix()))
	answers, err := contract.Record(ctx, play, suite, calm, os.Stderr)
	if err != nil {
		return err
	}
	if err := contract.Save(into, built, answers); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s %s (%s): %d groups in %s\n", built.Program, built.Version, built.Revision, len(answers), into)
	return nil
}
