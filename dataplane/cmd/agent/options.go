package main

import (
	"errors"
	"flag"
	"os"
	"time"

	"flameplane.dev/dataplane/internal/cpuprofile"
)

// options of the agent.
type options struct {
	pins, services, gateway, token, metrics string

	folder      string
	byFile      bool
	node        string
	read, every time.Duration
}

func parsed(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.StringVar(&o.pins, "pins", "", "folder that the loader pinned the programs in")
	flags.StringVar(&o.services, "services", "", "services.json: what is sampled; read again when it changes")
	flags.StringVar(&o.gateway, "gateway", "", "URL of the gateway")
	flags.StringVar(&o.token, "gateway-token", "", "file with the token for it, read for each request")
	flags.StringVar(&o.metrics, "metrics", ":4041", "address of /metrics, /healthz and /ready")
	flags.StringVar(&o.folder, "folder", "", "instead of a gateway: a folder, where a profile for each cgroup is written")
	flags.BoolVar(&o.byFile, "name-files", false, "name frames without a function after their file: for a backend without a symboliser")
	flags.DurationVar(&o.read, "read", time.Second, "time between readings of the counts")
	flags.DurationVar(&o.every, "every", 15*time.Second, "time between profiles")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	o.node = os.Getenv("NODE_NAME")
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.pins == "" || o.services == "":
		return errors.New("agent: -pins and -services are needed")
	case (o.gateway == "") == (o.folder == ""):
		return errors.New("agent: either -gateway or -folder is needed")
	case o.gateway != "" && o.token == "":
		return errors.New("agent: -gateway needs -gateway-token")
	case o.gateway != "" && o.node == "":
		return errors.New("NODE_NAME is not set: whose pods to ask for is not known")
	case o.read <= 0 || o.every < o.read:
		return errors.New("agent: -every is shorter than -read")
	}
	return nil
}

// naming begins profiles that name their frames as asked for.
func (o options) naming(begin func() *cpuprofile.Builder) func() *cpuprofile.Builder {
	if !o.byFile {
		return begin
	}
	return func() *cpuprofile.Builder { return begin().ByFile() }
}
