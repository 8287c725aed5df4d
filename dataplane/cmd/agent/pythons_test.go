package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

// What looks like CPython and is of no version whose table is known is counted, and its table not followed.
func TestPythonsThatAreNotKnown(t *testing.T) {
	binary := needs(t)
	program := filepath.Join(t.TempDir(), "tables")
	made(t, exec.Command("gcc", "-O2", "-rdynamic", "-o", program, "testdata/runtimes/tables/tables.c"))
	w := &workload{service: "tables", hz: 99, program: program}
	n := begin(t, binary, map[string]string{}, []*workload{w}, "--read=100ms")
	rates(t, n.pinned, n.root, []*workload{w})
	opened, err := pins.Open(n.pinned)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	number := func(outcome uint32) uint64 { return counted(t, opened.Maps[bpf.PythonOutcomes], outcome) }
	for name, row := range map[string]struct {
		version, freeThreaded, textSize string
		want, not                       uint32
	}{
		"a release":         {"0x030e0af0", "0", "64", bpf.PythonUnreadable, bpf.PythonUnknown},
		"a candidate of it": {"0x030e00c3", "0", "64", bpf.PythonUnknown, bpf.PythonUnreadable},
		"the next version":  {"0x031000f0", "0", "64", bpf.PythonUnknown, bpf.PythonUnreadable},
		"one before":        {"0x030c00f0", "0", "64", bpf.PythonUnknown, bpf.PythonUnreadable},
		"free-threaded":     {"0x030e0af0", "1", "64", bpf.PythonUnknown, bpf.PythonUnreadable},
		"another table":     {"0x030e0af0", "0", "56", bpf.PythonUnknown, bpf.PythonUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			before, other := number(row.want), number(row.not)
			command := exec.Command(program, row.version, row.freeThreaded, row.textSize)
			folder := inCgroup(t, n.folders[w.service], command)
			defer folder.Close()
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = command.Process.Kill(); _ = command.Wait() }()
			eventually(t, "its stacks are counted", func() bool { return number(row.want) > before+10 })
			if found := number(row.not) - other; found != 0 {
				t.Errorf("%d of its stacks are counted otherwise", found)
			}
		})
	}
	n.agent.stop(t)
	if walked := number(bpf.PythonWalked) + number(bpf.PythonPartly); walked != 0 {
		t.Errorf("%d stacks were walked", walked)
	}
}
