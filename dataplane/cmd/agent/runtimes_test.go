package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

// truthSeconds is how much CPU time each program uses: a longer run makes the error of chance small. With 102 there are
// 10,000 samples of each.
const truthSeconds = "FLAMEPLANE_TRUTH_SECONDS"

// language has a program that says how much CPU time it used in which of two functions.
type language struct {
	row     string
	program func(t *testing.T, folder string) (program string, arguments []string, err error)
	names   string // how its functions are found, where the profile or the file has them
	partial bool   // its stacks do not reach main
}

var languages = []language{
	{row: "C library's qsort", program: compiled("gcc", "-O2", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer",
		"-Wl,--build-id", "testdata/runtimes/sorts/sorts.c"), names: byFile, partial: true},
	{row: "Go with cgo", program: cgo, names: byFile, partial: true}, // in C the chain breaks now and then
	{row: "Python 3.11", program: cpython("3.11")},
	{row: "Python 3.13", program: cpython("3.13"), names: byProfile},
	{row: "Python 3.14", program: cpython("3.14"), names: byProfile},
	{row: "Python 3.15", program: cpython("3.15"), names: byProfile},
	{row: "Java", program: java()},
	{row: "Java, frame pointers", program: java("-XX:+PreserveFramePointer")},
	{row: "Node", program: node20},
}

// Whatever is known of a runtime's stacks, its CPU time is right. All programs run at once, each in a pod of its own.
func TestRuntimesOnANode(t *testing.T) {
	binary := needs(t)
	seconds := os.Getenv(truthSeconds)
	if seconds == "" {
		seconds = "4"
	}
	folder := t.TempDir()
	programs, workloads := map[string]string{}, map[string]*workload{}
	var all []*workload
	for i, each := range languages {
		program, arguments, err := each.program(t, folder)
		if err != nil {
			t.Run(each.row, func(t *testing.T) { t.Skipf("NOT RUN: %v", err) })
			continue
		}
		w := &workload{
			service: fmt.Sprintf("runtime-%d", i), hz: 99, program: program, arguments: append(arguments, seconds),
			names: each.names, partial: each.partial, apart: true,
		}
		workloads[each.row], all = w, append(all, w)
	}
	// What runs an interpreter is known a reading after its first sample.
	n := begin(t, binary, programs, all, "--read=100ms")
	rates(t, n.pinned, n.root, all)
	begun(t, n, programs, all)()
	page, codes := n.agent.get("/metrics"), kept(t, n.pinned)
	n.agent.stop(t)
	for _, each := range languages {
		w, ok := workloads[each.row]
		if !ok {
			continue
		}
		t.Run(each.row, func(t *testing.T) {
			w.judge(t, n.got, w.program)
			p := n.got.of(t, w.service)
			samples, cpu := total(p)
			t.Logf("| %s | %d | %.2f s | %.2f s (%+.1f %%) | %s |", each.row, samples, cpu.Seconds(), w.accounted.Seconds(),
				100*(cpu.Seconds()/w.accounted.Seconds()-1), seen(p))
			switch each.row {
			case "Python 3.13", "Python 3.14", "Python 3.15":
				walked(t, page)
				tells(t, p, codes)
			case "Go with cgo":
				byName, byPlace := inFunctions(p, named), inFunctions(p, byOffset(t, w.program))
				if byName["heavy"] < byPlace["heavy"]*95/100 || byName["main"] < cpu*85/100 {
					t.Errorf("by name %v, by place %v", byName, byPlace)
				}
			}
		})
	}
}

// walked is whether nearly all stacks of the interpreter that can be walked were.
func walked(t *testing.T, page string) {
	t.Helper()
	number := func(outcome string) float64 {
		_, rest, ok := strings.Cut(page, fmt.Sprintf("flameplane_agent_python_stacks_total{outcome=%q} ", outcome))
		value, _, _ := strings.Cut(rest, "\n")
		found, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("no number of %s stacks: %v", outcome, err)
		}
		return found
	}
	done, not := number("walked"), number("partly")+number("no_thread")+number("unreadable")
	if done < 100 || not > done/50 {
		t.Errorf("%v stacks were walked, %v were not", done, not)
	}
}

// kept is all that the sampler copied of Python's functions.
func kept(t *testing.T, pinned string) (found []bpf.Code) {
	t.Helper()
	opened, err := pins.Open(pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	var key uint64
	var code bpf.Code
	entries := opened.Maps[bpf.Codes].Iterate()
	for entries.Next(&key, &code) {
		found = append(found, code)
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// tells is whether a function has its name, its file and its first line, and nothing that it works with was copied.
func tells(t *testing.T, p *profile.Profile, codes []bpf.Code) {
	t.Helper()
	found := map[string]*profile.Function{}
	for _, function := range p.Function {
		found[function.Name] = function
	}
	burn := found["Work.burn"]
	if burn == nil || !strings.HasSuffix(burn.Filename, "testdata/runtimes/busy.py") || burn.StartLine != 27 {
		t.Errorf("Work.burn is %+v", burn)
	}
	copied := map[string]bool{}
	for _, code := range codes {
		copied[string(code.Name[:code.NameSize])] = true
		if all := string(code.Name[:]) + string(code.File[:]); strings.Contains(all, "secret") {
			t.Errorf("a value of the program was copied: %q", all)
		}
	}
	if !copied["heavy"] || !copied["Work.burn"] {
		t.Errorf("copied are %v", copied)
	}
}

// seen tells of a profile's user stacks: what is known of their frames, of the innermost by CPU time, how much of that has
// a name anywhere, and how deep they are.
func seen(p *profile.Profile) string {
	var all, deep, named int64
	frames, innermost := map[string]int64{}, map[string]int64{}
	var depths []int
	for _, sample := range p.Sample {
		depth, name := 0, int64(0)
		for _, location := range sample.Location {
			if location.Mapping != nil && location.Mapping.File == "[kernel]" {
				continue
			}
			what := told(location)
			if depth == 0 {
				innermost[what] += sample.Value[1]
				all += sample.Value[1]
			}
			if what == "name" {
				name = sample.Value[1]
			}
			frames[what] += sample.Value[0]
			deep += sample.Value[0]
			depth++
		}
		named += name
		depths = append(depths, slices.Repeat([]int{depth}, int(sample.Value[0]))...)
	}
	if all == 0 {
		return "no user stack"
	}
	slices.Sort(depths)
	share := func(of map[string]int64, whole int64) string {
		return fmt.Sprintf("%.0f / %.0f / %.0f %%", 100*float64(of["name"])/float64(whole),
			100*float64(of["place"])/float64(whole), 100*float64(of["nothing"])/float64(whole))
	}
	return fmt.Sprintf("%s | %s | %.0f %% | %d, %d, %d", share(frames, deep), share(innermost, all),
		100*float64(named)/float64(all), depths[len(depths)/10], depths[len(depths)/2], depths[len(depths)*9/10])
}

func told(location *profile.Location) string {
	switch {
	case len(location.Line) == 0:
		return "place"
	case strings.HasPrefix(location.Line[0].Function.Name, "["):
		return "nothing"
	}
	return "name"
}

func compiled(compiler string, arguments ...string) func(*testing.T, string) (string, []string, error) {
	return func(t *testing.T, folder string) (string, []string, error) {
		program := filepath.Join(folder, "compiled")
		made(t, exec.Command(compiler, append([]string{"-o", program}, arguments...)...))
		return program, nil, nil
	}
}

func made(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

func cgo(t *testing.T, folder string) (string, []string, error) {
	program := filepath.Join(folder, "cgo")
	linker := exec.Command("go", "build", "-o", program, "./testdata/runtimes/busycgo")
	linker.Env = append(os.Environ(), "CGO_ENABLED=1")
	made(t, linker)
	return program, nil, nil
}

// cpython is that version as it says itself where it lies: what is on PATH may be a script that starts it.
func cpython(version string) func(*testing.T, string) (string, []string, error) {
	return func(*testing.T, string) (string, []string, error) {
		name := "python" + version
		out, err := exec.Command(name, "-c", "import os, sys; print(os.path.realpath(sys.executable))").Output()
		if err != nil {
			return "", nil, fmt.Errorf("%s on PATH does not run: %w", name, err)
		}
		return strings.TrimSpace(string(out)), []string{"testdata/runtimes/busy.py"}, nil
	}
}

func java(flags ...string) func(*testing.T, string) (string, []string, error) {
	return func(t *testing.T, folder string) (string, []string, error) {
		compiler, err := exec.LookPath("javac")
		if err != nil {
			return "", nil, err
		}
		program, err := exec.LookPath("java")
		if err != nil {
			return "", nil, err
		}
		made(t, exec.Command(compiler, "-d", folder, "testdata/runtimes/Busy.java"))
		return program, append(flags, "-cp", folder, "Busy"), nil
	}
}

func node20(*testing.T, string) (string, []string, error) {
	program, err := exec.LookPath("node")
	return program, []string{"testdata/runtimes/busy.js"}, err
}
