package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/collect"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/podlist"
	"flameplane.dev/dataplane/internal/push"
)

const queueBytes = 8 << 20 // of profiles that wait for the gateway

// output is where profiles go.
type output interface {
	add(groups []collect.Group) error
	end(ctx context.Context) error // sends what waits
}

func newOutput(ctx context.Context, o options, node *identity.Node, registry prometheus.Registerer) (output, error) {
	if o.folder != "" {
		return &toFolder{folder: o.folder}, nil
	}
	pods, err := podlist.InCluster(rest.InClusterConfig, o.node, node.SetPods)
	if err != nil {
		return nil, err
	}
	go pods.Run(ctx)
	losses := push.NewLosses(o.node, registry)
	pusher := push.New(o.gateway, o.token, queueBytes, losses.Dropped, registry)
	ended := make(chan struct{})
	go func() { defer close(ended); pusher.Run(ctx) }()
	return &toGateway{node: node, pusher: pusher, losses: losses, ended: ended}, nil
}

// toGateway sends what is somebody's.
type toGateway struct {
	node   *identity.Node
	pusher *push.Pusher
	losses *push.Losses
	ended  <-chan struct{}
}

func (g *toGateway) add(groups []collect.Group) error {
	var all []push.Series
	for _, group := range groups {
		whose, ok := g.node.Of(group.Path)
		if !ok || !wants(whose, group.Name) {
			// It was somebody's when it was sampled, and is nobody's now: a pod that ended or opted out since.
			g.losses.Dropped.WithLabelValues("nobody").Add(float64(group.Samples))
			continue
		}
		if !whose.GitRef {
			g.losses.GitRefMissing.WithLabelValues(whose.Labels["service_name"]).Inc()
		}
		all = append(all, push.Series{Name: group.Name, Labels: whose.Labels, Profile: group.Profile, Samples: group.Samples})
	}
	return g.pusher.Add(all)
}

func wants(whose identity.Whose, name string) bool {
	if name == offCPU {
		return whose.OffCPU
	}
	return whose.Hz > 0
}

func (g *toGateway) end(ctx context.Context) error {
	<-g.ended
	g.pusher.Flush(ctx)
	return nil
}

// toFolder writes one file for each cgroup, kind and flush.
type toFolder struct {
	folder string
	number int
}

func (f *toFolder) add(groups []collect.Group) error {
	f.number++
	for _, group := range groups {
		name := strings.Trim(strings.ReplaceAll(group.Path, "/", "_"), "_")
		file, err := os.Create(filepath.Join(f.folder, fmt.Sprintf("%06d-%s-%s.pb.gz", f.number, group.Name, name)))
		if err != nil {
			return err
		}
		err = group.Profile.Write(file)
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (*toFolder) end(context.Context) error { return nil }
