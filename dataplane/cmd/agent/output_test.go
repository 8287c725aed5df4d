package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/internal/collect"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/identity"
	"flameplane.dev/dataplane/internal/push"
)

func group(t *testing.T, path, name string, samples uint64) collect.Group {
	t.Helper()
	builder := cpuprofile.New(99)
	if name == offCPU {
		builder = cpuprofile.NewOffCPU()
	}
	builder.Add([]cpuprofile.Frame{{Function: "main.main"}}, samples, time.Second)
	built, err := builder.Build(time.Now(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return collect.Group{Path: path, Name: name, Profile: built, Samples: samples}
}

// What is somebody's is sent; what is nobody's is dropped and counted, and so is a service without a git commit.
func TestOnlyWhatIsSomebodysIsSent(t *testing.T) {
	const uid = "00000000-0000-0000-0000-000000000001"
	declared := &identity.Declared{BaseHz: 99, Services: []identity.Service{{
		Name: "cart", Team: "shop", Namespace: "shop", Selector: map[string]string{"app": "cart"}, Hz: 99,
		Types: []string{"cpu"}, CPUSource: "ebpf",
	}}}
	node := identity.NewNode("n1", declared)
	node.SetPods(map[string]identity.Pod{uid: {Namespace: "shop", Name: "cart-0", Labels: map[string]string{"app": "cart"}}})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("gateway-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, address := gateway(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(&fromKernel{known: node, node: "n1"})
	m := push.NewLosses("n1", registry)
	ended := make(chan struct{})
	close(ended)
	out := &toGateway{node: node, losses: m, ended: ended, pusher: push.New(address, token, 1<<20, m.Dropped, registry)}
	if err := out.add([]collect.Group{
		group(t, "/kubepods/pod"+uid, onCPU, 7), group(t, "/system.slice/sshd.service", onCPU, 5),
		group(t, "/kubepods/pod"+uid, offCPU, 20), // asked for no more
	}); err != nil {
		t.Fatal(err)
	}
	if err := out.end(context.Background()); err != nil {
		t.Fatal(err)
	}
	if samples, _ := total(got.of(t, "cart")); samples != 7 || len(got.labels) != 1 || got.labels["cart"]["pod"] != "cart-0" {
		t.Errorf("%d samples, %v", samples, got.labels)
	}
	if dropped := testutil.ToFloat64(m.Dropped.WithLabelValues("nobody")); dropped != 25 {
		t.Errorf("%v samples of nobody", dropped)
	}
	if missing := testutil.ToFloat64(m.GitRefMissing.WithLabelValues("cart")); missing != 1 {
		t.Errorf("%v profiles without a git commit", missing)
	}
}

func TestAFolderGetsAFileForEachCgroup(t *testing.T) {
	out := &toFolder{folder: t.TempDir()}
	for range 2 {
		if err := out.add([]collect.Group{group(t, "/", onCPU, 1), group(t, "/kubepods/a", onCPU, 2)}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(out.folder, "*.pb.gz"))
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	opened, err := os.Open(filepath.Join(out.folder, "000002-process_cpu-kubepods_a.pb.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	read, err := profile.Parse(opened)
	if err != nil {
		t.Fatal(err)
	}
	if samples, _ := total(read); samples != 2 {
		t.Errorf("%d samples", samples)
	}
}
