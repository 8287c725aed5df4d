// Command bench is the half of benchmarks/gateway.py that has to be fast: what the gateway needs around it (identity
// provider, API server), and the load itself.
//
//	bench surroundings -folder FOLDER     serve until the end of standard input
//	bench load -plan PLAN.JSON            push what is asked for, then measure; the results are JSON on standard output
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) == 0 {
		return errors.New("name a command: surroundings or load")
	}
	set := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	folder := set.String("folder", "", "where certificates and tokens are written")
	file := set.String("plan", "", "what to measure; see plan.go")
	if err := set.Parse(arguments[1:]); err != nil {
		return err
	}
	switch arguments[0] {
	case "surroundings":
		around, err := surround(*folder)
		if err != nil {
			return err
		}
		defer around.Close()
		if err := json.NewEncoder(out).Encode(map[string]string{"address": around.address()}); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, in)
		return err
	case "load":
		plan, err := readPlan(*file)
		if err != nil {
			return err
		}
		results, err := plan.run()
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(results)
	}
	return fmt.Errorf("%q is no command; valid: surroundings, load", arguments[0])
}
