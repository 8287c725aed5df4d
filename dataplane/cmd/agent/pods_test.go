package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// node is one with a pod for each workload, and an agent that knows them.
type node struct {
	pinned, root string
	folders      map[string]string // of containers' cgroups, by service
	services     []map[string]any  // as declared, in the order of the workloads
	file         string            // services.json
	got          *received
	agent        *running
}

// begin loads the programs, makes the pods and starts the agent. A workload may name a program that is not built here.
func begin(t *testing.T, binary string, programs map[string]string, workloads []*workload, flags ...string) *node {
	t.Helper()
	folder := t.TempDir()
	n := &node{pinned: bpffs(t), root: cgroups(t), folders: map[string]string{}, file: filepath.Join(folder, "services.json")}
	loaded(t, binary, n.pinned)
	var pods []core.Pod
	for i, w := range workloads {
		// Its own: an agent sees all pods of the machine, those of a test that runs beside this one too.
		w.uid = fmt.Sprintf("%08x-0000-0000-0000-%012d", os.Getpid(), i)
		if _, ours := programs[w.program]; !ours {
			programs[w.program] = w.program
		}
		sandbox(t, n.root, w.uid, 100+i)
		place, id := container(t, n.root, w.uid, i+1)
		n.folders[w.service] = place
		pods = append(pods, core.Pod{
			ObjectMeta: meta.ObjectMeta{UID: types.UID(w.uid), Name: w.service + "-0", Namespace: "shop", Labels: map[string]string{
				"app": w.service, "git": sha, "version": "1.2.3",
			}, Annotations: w.annotations},
			Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{{Name: "main", ContainerID: "containerd://" + id}}},
		})
		kinds := w.types
		if kinds == nil {
			kinds = []string{"cpu"}
		}
		n.services = append(n.services, map[string]any{
			"service": w.service, "team": "shop", "namespace": "shop", "selector": map[string]string{"app": w.service},
			"sampleRateHz": w.hz, "types": kinds, "cpuSource": "ebpf",
			"labels": map[string]string{"version": "version", "gitRef": "git", "track": "track"},
		})
	}
	n.declare(t)
	token := filepath.Join(folder, "token")
	if err := os.WriteFile(token, []byte("gateway-token"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, folder)
	api, authority := apiServer(t, pods)
	host, port, _ := strings.Cut(api, ":")
	got, address := gateway(t)
	n.got = got
	n.agent = start(t, binary, plan{
		Token: "api-token", Authority: authority,
		Environment: []string{"NODE_NAME=n1", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port},
	}, append([]string{
		"--pins=" + n.pinned, "--services=" + n.file, "--gateway=" + address, "--gateway-token=" + token, "--every=5s",
	}, flags...)...)
	eventually(t, "the agent knows its pods", func() bool {
		known := fmt.Sprintf("flameplane_agent_pods{node=%q,service=%q,team=%q} 1", "n1", workloads[0].service, "shop")
		return strings.Contains(n.agent.get("/metrics"), known)
	})
	return n
}

// declare writes services.json anew, in one step.
func (n *node) declare(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"baseRateHz": 99, "optOutAnnotation": "flameplane.dev/profile", "services": n.services,
	})
	if err == nil {
		err = os.WriteFile(n.file+".new", text, 0o644)
	}
	if err == nil {
		err = os.Rename(n.file+".new", n.file)
	}
	if err != nil {
		t.Fatal(err)
	}
}
