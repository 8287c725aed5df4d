package identity

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	uid         = "3f1d2c4e-1111-2222-3333-444455556666"
	other       = "3f1d2c4e-1111-2222-3333-444455557777"
	static      = "0123456789abcdef0123456789abcdef"
	sha         = "0123456789abcdef0123456789abcdef01234567"
	goldens     = "../../../tests/plan/golden"
	container64 = "aaaabbbbccccddddeeeeffff00001111222233334444555566667777888899aa"
)

func TestPlacesOfCgroups(t *testing.T) {
	escaped := strings.ReplaceAll(uid, "-", "_")
	for path, want := range map[string]Place{
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + escaped + ".slice/cri-containerd-" + container64 + ".scope": {uid, container64},
		"/kubepods.slice/kubepods-pod" + escaped + ".slice/crio-" + container64 + ".scope":                                              {uid, container64},
		"/flameplane/pods/kubepods/besteffort/pod" + uid + "/" + container64:                                                            {uid, container64},
		"/kubepods/pod" + uid: {uid, ""},
		"/kubepods/pod" + uid + "/" + container64 + "/kubepods/pod" + other: {uid, container64},
	} {
		if found, ok := PlaceOf(path); !ok || found != want {
			t.Errorf("%s: %+v", path, found)
		}
	}
	for _, path := range []string{"", "/", "/system.slice/containerd.service", "/kubepods", "/podman/pod1", "/pod" + uid + "x"} {
		if found, ok := PlaceOf(path); ok {
			t.Errorf("%s: %+v", path, found)
		}
	}
}

// What the components declare for every environment is what this program reads.
func TestReadsWhatIsDeclared(t *testing.T) {
	for _, environment := range []string{"local", "dev", "staging", "prod"} {
		text, err := os.ReadFile(filepath.Join(goldens, environment, "flameplane-node", "configmap-node-services.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var object struct {
			Data map[string]string `yaml:"data"`
		}
		if err := yaml.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		read, err := ReadDeclared(written(t, object.Data["services.json"]))
		if err != nil || len(read.Services) == 0 || read.BaseHz == 0 || read.OptOut == "" || read.Services[0].Labels.GitRef == "" {
			t.Errorf("%s: %+v %v", environment, read, err)
		}
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatMakesNoSenseIsSaid(t *testing.T) {
	for text, said := range map[string]string{
		`{"baseRateHz": 0}`:                                      "baseRateHz is 0",
		`{"baseRateHz": 99, "rate": 1}`:                          `unknown field "rate"`,
		`{"baseRateHz": 99, "services": [{"service":"a"}]}`:      "no team",
		`{"baseRateHz": 99, "undeclared": {"team":"a"}}`:         "no rate",
		`{"baseRateHz": 99, "undeclared": {"sampleRateHz": 19}}`: "no team",
		`{`: "unexpected EOF",
	} {
		if _, err := ReadDeclared(written(t, text)); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// node is one where undeclared pods are a team's, if there is one.
func node(t *testing.T, team string) *Node {
	t.Helper()
	var declared Declared
	if err := json.Unmarshal([]byte(`{"baseRateHz": 99, "excludedNamespaces": ["vault"], "optOutAnnotation": "x/profile",
		"services": [
		{"service": "cart", "team": "shop", "namespace": "shop", "selector": {"app": "cart"}, "sampleRateHz": 19,
		 "types": ["cpu"], "cpuSource": "ebpf", "labels": {"version": "v", "gitRef": "ref", "track": "track"}},
		{"service": "inside", "team": "shop", "namespace": "shop", "selector": {"app": "inside"}, "sampleRateHz": 99,
		 "types": ["cpu"], "cpuSource": "agent"},
		{"service": "waits", "team": "shop", "namespace": "shop", "selector": {"app": "waits"}, "sampleRateHz": 99,
		 "types": ["cpu", "offcpu"], "cpuSource": "agent"},
		{"service": "silent", "team": "shop", "namespace": "shop", "selector": {"app": "silent"}, "sampleRateHz": 0,
		 "types": ["cpu", "offcpu"], "cpuSource": "ebpf"}]}`), &declared); err != nil {
		t.Fatal(err)
	}
	if team != "" {
		declared.Undeclared = &Others{Team: team, Hz: 49}
	}
	return NewNode("n1", &declared)
}

func pod(namespace, name string, labels, annotations map[string]string) Pod {
	return PodOf(&core.Pod{
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: labels, Annotations: annotations},
		Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{
			{Name: "main", ContainerID: "containerd://" + container64},
		}},
	})
}

func TestWhoseACgroupIs(t *testing.T) {
	path := "/kubepods/pod" + uid + "/" + container64
	n := node(t, "")
	for name, one := range map[string]struct {
		pod  Pod
		hz   uint32
		want map[string]string
	}{
		"a declared service": {pod("shop", "cart-1", map[string]string{"app": "cart", "v": "1.2", "track": "canary"},
			map[string]string{"ref": sha}), 19, map[string]string{
			"service_name": "cart", "team": "shop", "namespace": "shop", "pod": "cart-1", "container": "main", "node": "n1",
			"service_version": "1.2", "service_git_ref": sha, "track": "canary",
		}},
		"a branch for a commit": {pod("shop", "cart-1", map[string]string{"app": "cart", "ref": "main"}, nil), 19, map[string]string{
			"service_name": "cart", "team": "shop", "namespace": "shop", "pod": "cart-1", "container": "main", "node": "n1",
		}},
		"CPU from inside":         {pod("shop", "i-1", map[string]string{"app": "inside"}, nil), 0, nil},
		"opted out":               {pod("shop", "cart-1", map[string]string{"app": "cart"}, map[string]string{"x/profile": "false"}), 0, nil},
		"an excluded namespace":   {pod("vault", "cart-1", map[string]string{"app": "cart"}, nil), 0, nil},
		"the label of no service": {pod("other", "cart-1", map[string]string{"app": "cart"}, nil), 0, nil},
	} {
		n.SetPods(map[string]Pod{uid: one.pod})
		whose, ok := n.Of(path)
		if ok != (one.want != nil) || ok && (!maps.Equal(whose.Labels, one.want) || whose.Hz != one.hz ||
			whose.GitRef != (one.want["service_git_ref"] != "")) {
			t.Errorf("%s: %+v", name, whose)
		}
	}
}

func TestWhatIsNobodysIsThePlatforms(t *testing.T) {
	n := node(t, "platform")
	n.SetPods(map[string]Pod{
		uid:    pod("other", "db-0", map[string]string{"app": "db"}, nil),
		static: pod("kube-system", "etcd-n1", nil, nil),
	})
	for path, want := range map[string]string{
		"/system.slice/sshd.service": "node", "/kubepods/pod" + uid: "other/db", "/kubepods/pod" + static: "kube-system/etcd-n1",
	} {
		whose, ok := n.Of(path)
		if !ok || whose.Team != "platform" || whose.Labels["team"] != "platform" || whose.Labels["service_name"] != want || whose.Hz != 49 {
			t.Errorf("%s: %+v", path, whose)
		}
	}
}

func TestRatesStandAtThePod(t *testing.T) {
	n := node(t, "")
	n.SetPods(map[string]Pod{
		uid:   pod("shop", "cart-1", map[string]string{"app": "cart"}, nil),
		other: pod("vault", "v-1", nil, nil),
	})
	task := func(pod string, id uint64) []Cgroup {
		return []Cgroup{
			{ID: 2, Path: "/kubepods"}, {ID: id, Path: "/kubepods/pod" + pod},
			{ID: id + 1, Path: "/kubepods/pod" + pod + "/" + container64},
		}
	}
	tasks := slices.Values([][]Cgroup{task(uid, 10), task(uid, 10), task(other, 20), {{ID: 3, Path: "/a"}}, {}})
	if found := n.Told(tasks); !maps.Equal(found.Rates, map[uint64]uint32{10: 19, 20: 0}) || len(found.OffCPU) != 0 {
		t.Errorf("%v", found)
	}
	if found := n.Pods(); len(found) != 1 || found[[2]string{"cart", "shop"}] != 1 {
		t.Errorf("%v", found)
	}
	n = node(t, "platform") // whose pods are not known yet
	if found := n.Told(tasks); !maps.Equal(found.Rates, map[uint64]uint32{0: 49, 10: 0, 20: 0}) || len(found.OffCPU) != 0 {
		t.Errorf("%v", found)
	}
}

// Blocked time is counted for who declares it, wherever its CPU time comes from, and of nobody who is left out.
func TestOffCPUIsForWhoAsks(t *testing.T) {
	for name, one := range map[string]struct {
		pod  Pod
		asks bool
	}{
		"declared, CPU from inside": {pod("shop", "w-1", map[string]string{"app": "waits"}, nil), true},
		"not declared":              {pod("shop", "cart-1", map[string]string{"app": "cart"}, nil), false},
		"at rate 0":                 {pod("shop", "s-1", map[string]string{"app": "silent"}, nil), false},
		"opted out":                 {pod("shop", "w-1", map[string]string{"app": "waits"}, map[string]string{"x/profile": "false"}), false},
		"the platform's":            {pod("other", "db-0", nil, nil), false},
	} {
		n := node(t, "platform")
		n.SetPods(map[string]Pod{uid: one.pod})
		told := n.Told(slices.Values([][]Cgroup{{
			{ID: 2, Path: "/kubepods"}, {ID: 10, Path: "/kubepods/pod" + uid}, {ID: 11, Path: "/kubepods/pod" + uid + "/" + container64},
		}}))
		if asks := slices.Equal(told.OffCPU, []uint64{10}); asks != one.asks || !asks && len(told.OffCPU) != 0 {
			t.Errorf("%s: %v", name, told)
		}
		if whose, ok := n.Of("/kubepods/pod" + uid); whose.OffCPU != one.asks || one.asks && (!ok || whose.Hz != 0) {
			t.Errorf("%s: %+v", name, whose)
		}
	}
}
