package podlist

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"flameplane.dev/dataplane/internal/identity"
)

// server is an API server of two pages, and one watch.
type server struct {
	t       *testing.T
	lists   int
	broken  error // of the first list
	changes *watch.FakeWatcher
}

func (s *server) List(_ context.Context, options meta.ListOptions) (*core.PodList, error) {
	s.lists++
	if options.FieldSelector != "spec.nodeName=n1" || options.Limit == 0 {
		s.t.Errorf("%+v", options)
	}
	if err := s.broken; err != nil {
		s.broken = nil
		return nil, err
	}
	if options.Continue == "" {
		return &core.PodList{ListMeta: meta.ListMeta{Continue: "more"}, Items: []core.Pod{*pod("1", "first")}}, nil
	}
	return &core.PodList{ListMeta: meta.ListMeta{ResourceVersion: "5"}, Items: []core.Pod{*pod("2", "second")}}, nil
}

func (s *server) Watch(_ context.Context, options meta.ListOptions) (watch.Interface, error) {
	if options.ResourceVersion != "5" || options.FieldSelector != "spec.nodeName=n1" || options.TimeoutSeconds == nil {
		s.t.Errorf("%+v", options)
	}
	return s.changes, nil
}

func pod(uid, name string) *core.Pod {
	return &core.Pod{ObjectMeta: meta.ObjectMeta{UID: types.UID(uid), Name: name}}
}

func names(pods map[string]identity.Pod) []string {
	var found []string
	for _, pod := range pods {
		found = append(found, pod.Name)
	}
	slices.Sort(found)
	return found
}

func TestFollowsThePods(t *testing.T) {
	s := &server{t: t, broken: errors.New("down"), changes: watch.NewFake()}
	told := make(chan map[string]identity.Pod)
	list := New(s, "n1", func(pods map[string]identity.Pod) { told <- pods })
	list.wait = 0
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { list.Run(ctx); close(ended) }()

	if found := names(<-told); !slices.Equal(found, []string{"first", "second"}) {
		t.Errorf("%v", found)
	}
	s.changes.Add(pod("3", "third"))
	if found := names(<-told); !slices.Equal(found, []string{"first", "second", "third"}) {
		t.Errorf("%v", found)
	}
	s.changes.Delete(pod("1", "first"))
	if found := names(<-told); !slices.Equal(found, []string{"second", "third"}) {
		t.Errorf("%v", found)
	}
	mirror := pod("4", "static")
	mirror.Annotations = map[string]string{mirrorOf: "hash"}
	s.changes.Modify(mirror)
	if found := <-told; !slices.Contains(slices.Collect(maps.Keys(found)), "hash") {
		t.Errorf("%v", found)
	}
	before := s.changes
	s.changes = watch.NewFake()
	before.Error(&meta.Status{Reason: meta.StatusReasonExpired})
	if found := names(<-told); !slices.Equal(found, []string{"first", "second"}) {
		t.Errorf("not listed anew: %v", found)
	}
	stop()
	s.changes.Stop()
	<-ended
	if s.lists != 5 { // the broken one, and two of two pages
		t.Errorf("%d lists", s.lists)
	}
}
