// Package podlist follows the pods of one node at the API server.
package podlist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"flameplane.dev/dataplane/internal/identity"
)

const (
	pageSize  = 500
	watchTime = 10 * time.Minute // the API server ends a watch then, and the list is made anew
	retry     = 2 * time.Second
)

// API is the part of the API server that is asked.
type API interface {
	List(ctx context.Context, options meta.ListOptions) (*core.PodList, error)
	Watch(ctx context.Context, options meta.ListOptions) (watch.Interface, error)
}

// List follows the pods.
type List struct {
	api  API
	node string
	told func(map[string]identity.Pod)
	pods map[string]identity.Pod
	wait time.Duration
}

// New tells “told“ of all pods of the node, by uid, whenever one changed.
func New(api API, node string, told func(map[string]identity.Pod)) *List {
	return &List{api: api, node: node, told: told, wait: retry}
}

// InCluster asks the API server that a configuration names, which is where the pod runs.
func InCluster(where func() (*rest.Config, error), node string, told func(map[string]identity.Pod)) (*List, error) {
	config, err := where()
	if err != nil {
		return nil, fmt.Errorf("the API server, which says whose a pod is: %w", err)
	}
	api, err := typed.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return New(api.Pods(""), node, told), nil
}

// Run follows until the context ends. While the API server cannot be reached, what is known stays.
func (l *List) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.once(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		slog.Warn("the pods of the node are not known anew", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(l.wait):
		}
	}
}

// once lists the pods, and watches them until the watch ends.
func (l *List) once(ctx context.Context) error {
	version, err := l.list(ctx)
	if err != nil {
		return fmt.Errorf("list the pods of %s: %w", l.node, err)
	}
	seconds := int64(watchTime / time.Second)
	options := l.options()
	options.ResourceVersion, options.TimeoutSeconds = version, &seconds
	changes, err := l.api.Watch(ctx, options)
	if err != nil {
		return fmt.Errorf("watch the pods of %s: %w", l.node, err)
	}
	defer changes.Stop()
	for change := range changes.ResultChan() {
		pod, ok := change.Object.(*core.Pod)
		if !ok {
			return errors.New("the watch ended early") // its version is too old by now
		}
		if change.Type == watch.Deleted {
			delete(l.pods, uid(pod))
		} else {
			l.pods[uid(pod)] = identity.PodOf(pod)
		}
		l.told(maps.Clone(l.pods))
	}
	return nil
}

func (l *List) options() meta.ListOptions {
	return meta.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", l.node).String()}
}

func (l *List) list(ctx context.Context) (version string, err error) {
	options := l.options()
	options.Limit = pageSize
	found := map[string]identity.Pod{}
	for {
		page, err := l.api.List(ctx, options)
		if err != nil {
			return "", err
		}
		for i := range page.Items {
			found[uid(&page.Items[i])] = identity.PodOf(&page.Items[i])
		}
		version, options.Continue = page.ResourceVersion, page.Continue
		if options.Continue == "" {
			break
		}
	}
	l.pods = found
	l.told(maps.Clone(found))
	return version, nil
}

// mirrorOf holds the uid by which the kubelet knows a static pod, and names its cgroup.
const mirrorOf = "kubernetes.io/config.hash"

func uid(pod *core.Pod) string {
	if hash := pod.Annotations[mirrorOf]; hash != "" {
		return hash
	}
	return string(pod.UID)
}
