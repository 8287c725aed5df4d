package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"
)

// options of the receiver.
type options struct {
	listen, services, gateway, token, metrics string

	node  string
	every time.Duration
}

func parsed(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // a wrong flag is told once, by main
	flags.StringVar(&o.listen, "listen", ":4040", "address that in-process agents push to")
	flags.StringVar(&o.services, "services", "", "services.json: whose profiles are taken; read again when it changes")
	flags.StringVar(&o.gateway, "gateway", "", "URL of the gateway")
	flags.StringVar(&o.token, "gateway-token", "", "file with the token for it, read for each request")
	flags.StringVar(&o.metrics, "metrics", ":4042", "address of /metrics, /healthz and /ready")
	flags.DurationVar(&o.every, "every", 15*time.Second, "time between two scrapes of a program")
	err := flags.Parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	o.node = os.Getenv("NODE_NAME")
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.services == "":
		return errors.New("-services is needed")
	case o.gateway == "" || o.token == "":
		return errors.New("-gateway and -gateway-token are needed")
	case o.every < time.Second:
		return errors.New("-every is shorter than a second")
	case o.node == "":
		return errors.New("NODE_NAME is not set: whose pods to ask for is not known")
	}
	if to, err := url.Parse(o.gateway); err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return fmt.Errorf("-gateway is %q, which is no URL of HTTP", o.gateway)
	}
	return nil
}
