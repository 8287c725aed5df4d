package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

// workload is a program whose CPU time is known.
type workload struct {
	service, uid string
	hz           uint32
	types        []string // that are declared; CPU time alone if there are none
	annotations  map[string]string
	program      string // of those that are built here, or an installed one
	arguments    []string
	names        string // how its functions are found: by the profile, by their place in the file, or not at all
	apart        bool   // in a pid namespace of its own, as in a container
	partial      bool   // its stacks do not reach main
	kernel       string // a function of the kernel that it spends its time in

	said         []byte
	accounted    time.Duration // CPU time of its cgroup while it ran
	heavy, light time.Duration
}

const (
	byProfile = "profile"
	byFile    = "file"
	byBuild   = "build id" // and the place in the file that has it
)

// run runs it to its end, and notes what the kernel accounts to its cgroup from its first instruction on.
func (w *workload) run(t *testing.T, program, cgroup string, done chan<- error) {
	before := accounted(t, cgroup)
	command := exec.Command(program, w.arguments...)
	var out bytes.Buffer
	command.Stdout = &out
	opened := inCgroup(t, cgroup, command)
	defer opened.Close()
	if w.apart {
		command.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	err := command.Run()
	w.said = out.Bytes()
	w.accounted = accounted(t, cgroup) - before
	if err == nil && w.names != "" {
		var said struct{ Heavy, Light int64 }
		err = json.Unmarshal(out.Bytes(), &said)
		w.heavy, w.light = time.Duration(said.Heavy), time.Duration(said.Light)
	}
	done <- err
}

// begun starts all of them at once; what it returns waits until each has come to its end.
func begun(t *testing.T, n *node, programs map[string]string, workloads []*workload) (ended func()) {
	t.Helper()
	done := make(chan error, len(workloads))
	for _, w := range workloads {
		go w.run(t, programs[w.program], n.folders[w.service], done)
	}
	return func() {
		t.Helper()
		for range workloads {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
}

func built(t *testing.T) map[string]string {
	t.Helper()
	folder := t.TempDir()
	found := map[string]string{}
	for _, name := range []string{"go", "c", "c without frame pointers", "waits"} {
		found[name] = filepath.Join(folder, strings.ReplaceAll(name, " ", "-"))
	}
	gcc := func(program, source string, flags ...string) *exec.Cmd {
		return exec.Command("gcc", append([]string{"-O2", "-Wl,--build-id", "-o", program, source}, flags...)...)
	}
	framed := []string{"-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"}
	compiler := gcc(found["c"], "testdata/busyc/busy.c", framed...)
	other := gcc(found["c without frame pointers"], "testdata/busyc/busy.c", "-fomit-frame-pointer")
	waits := gcc(found["waits"], "testdata/waits/waits.c", framed...)
	linker := exec.Command("go", "build", "-ldflags=-s -w", "-o", found["go"], "./testdata/busygo")
	linker.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, command := range []*exec.Cmd{compiler, other, waits, linker} {
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	return found
}

// inFunctions is the time in which each function of a program was somewhere in the stack.
func inFunctions(p *profile.Profile, name func(*profile.Location) string) map[string]time.Duration {
	found := map[string]time.Duration{}
	for _, sample := range p.Sample {
		seen := map[string]bool{}
		for _, location := range sample.Location {
			if function := name(location); function != "" && !seen[function] {
				seen[function] = true
				found[function] += time.Duration(sample.Value[len(sample.Value)-1])
			}
		}
	}
	return found
}

func named(location *profile.Location) string {
	if len(location.Line) == 0 {
		return ""
	}
	return strings.TrimPrefix(location.Line[0].Function.Name, "main.")
}

// byOffset names what the profile has as a place in a file, as a backend's symboliser would.
func byOffset(t *testing.T, program string) func(*profile.Location) string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return func(location *profile.Location) string {
		if location.Mapping == nil || location.Mapping.File != program {
			return ""
		}
		for _, segment := range file.Progs {
			if segment.Type != elf.PT_LOAD || location.Address < segment.Off || location.Address >= segment.Off+segment.Filesz {
				continue
			}
			address := location.Address - segment.Off + segment.Vaddr
			for _, symbol := range all {
				if elf.ST_TYPE(symbol.Info) == elf.STT_FUNC && symbol.Value <= address && address < symbol.Value+symbol.Size {
					return strings.TrimPrefix(symbol.Name, "main.")
				}
			}
		}
		return ""
	}
}

func total(p *profile.Profile) (samples int64, cpu time.Duration) {
	for _, sample := range p.Sample {
		samples, cpu = samples+sample.Value[0], cpu+time.Duration(sample.Value[1])
	}
	return samples, cpu
}

const enough = 3000 // samples, from which on shares must be within 3 points

// within is whether that many samples may stand for the CPU time that the kernel accounts: 5 %, or five times the error of
// chance where that is more. Of N samples it is 5/√N, and so 5 % of 10,000.
func within(samples int64, measured, accounted time.Duration) bool {
	ratio := measured.Seconds() / accounted.Seconds()
	number := max(float64(samples), float64(samples)/ratio) // or what it should have been: too few allow no more
	return samples > 0 && math.Abs(ratio-1) <= max(0.05, 5/math.Sqrt(number))
}

// sandbox is the process that holds a pod together: it is there before any of the pod's containers.
func sandbox(t *testing.T, root, uid string, number int) {
	t.Helper()
	folder, _ := container(t, root, uid, number)
	command := exec.Command("sleep", "3600")
	opened := inCgroup(t, folder, command)
	defer opened.Close()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
}

// rates waits until the sampler is told of these pods. Others may run here as well.
func rates(t *testing.T, pinned, root string, workloads []*workload) {
	t.Helper()
	opened, err := pins.Open(pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	for _, w := range workloads {
		var folder syscall.Stat_t
		if err := syscall.Stat(filepath.Join(root, "kubepods", "pod"+w.uid), &folder); err != nil {
			t.Fatal(err)
		}
		want := w.hz
		if w.annotations != nil {
			want = 0
		}
		eventually(t, w.service+" has its rate", func() bool {
			var hz uint32
			return opened.Maps[bpf.Rates].Lookup(folder.Ino, &hz) == nil && hz == want
		})
	}
}

// judge compares the profile of a workload with what it did.
func (w *workload) judge(t *testing.T, got *received, program string) {
	t.Helper()
	p := got.of(t, w.service)
	samples, cpu := total(p)
	if w.hz == 0 || w.annotations != nil {
		if samples != 0 {
			t.Errorf("%s: %d samples", w.service, samples)
		}
		return
	}
	t.Logf("%s at %d Hz: %d samples, %.2f s of %.2f s accounted (%+.1f %%)",
		w.service, w.hz, samples, cpu.Seconds(), w.accounted.Seconds(), 100*(cpu.Seconds()/w.accounted.Seconds()-1))
	if !within(samples, cpu, w.accounted) {
		t.Errorf("%s: %v of %v", w.service, cpu, w.accounted)
	}
	if w.kernel != "" {
		share := inFunctions(p, named)[w.kernel].Seconds() / cpu.Seconds()
		t.Logf("%s: %.1f %% in %s", w.service, 100*share, w.kernel)
		if share < 0.8 {
			t.Errorf("%s: %.3f of it in %s", w.service, share, w.kernel)
		}
	}
	if w.names != "" {
		w.judgeFunctions(t, p, program)
	}
	want := map[string]string{
		"__name__": "process_cpu", "service_name": w.service, "team": "shop", "namespace": "shop", "pod": w.service + "-0",
		"container": "main", "node": "n1", "service_version": "1.2.3", "service_git_ref": sha,
	}
	for label, value := range want {
		if found := got.labels[w.service][label]; found != value {
			t.Errorf("%s: %s is %q", w.service, label, found)
		}
	}
	for _, mapping := range p.Mapping {
		if mapping.File == program && mapping.BuildID == "" {
			t.Errorf("%s has no build id", program)
		}
	}
}

// judgeFunctions compares the shares of its functions with what it says itself.
func (w *workload) judgeFunctions(t *testing.T, p *profile.Profile, program string) {
	t.Helper()
	name := named
	switch w.names {
	case byFile:
		name = byOffset(t, program)
	case byBuild:
		name = inBuild(t, program)
	}
	samples, cpu := total(p)
	functions := inFunctions(p, name)
	share := functions["heavy"].Seconds() / (functions["heavy"] + functions["light"]).Seconds()
	truth := w.heavy.Seconds() / (w.heavy + w.light).Seconds()
	under := functions["main"].Seconds() / cpu.Seconds()
	t.Logf("%s: heavy %.1f %% of %.1f %%; main in %.1f %% of the stacks", w.service, 100*share, 100*truth, 100*under)
	allowed := 5 * math.Sqrt(truth*(1-truth)/float64(samples))
	if samples >= enough {
		allowed = min(allowed, 0.03)
	}
	if math.Abs(share-truth) > allowed {
		t.Errorf("%s: heavy has %.3f of it, not %.3f", w.service, share, truth)
	}
	if !w.partial && under < 0.95 {
		t.Errorf("%s: main is in %.3f of the stacks", w.service, under)
	}
}
