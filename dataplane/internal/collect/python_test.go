package collect

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/sampler"
	"flameplane.dev/dataplane/internal/symbols"
)

const base = 0x7f0000000000

// inMemory is a file as a process has it at “base“, in one piece.
type inMemory struct{ *bytes.Reader }

func (m inMemory) ReadAt(into []byte, address int64) (int, error) {
	return m.Reader.ReadAt(into, address-base)
}

// aPython is a library that exports what CPython's does.
func aPython(t *testing.T) (inMemory, process.Space, map[string]uint64) {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	file := filepath.Join(t.TempDir(), "libpython.so")
	compiler := exec.Command("gcc", "-shared", "-fPIC", "-o", file, "-x", "c", "-")
	compiler.Stdin = strings.NewReader("long _PyRuntime[9] = {1}, PyCode_Type[9] = {1}; long other(void) { return _PyRuntime[1]; }")
	if said, err := compiler.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	all, err := whole.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]uint64{}
	for _, symbol := range all {
		places[symbol.Name] = symbol.Value
	}
	return inMemory{bytes.NewReader(data)}, process.Space{{
		Start: base, End: base + uint64(len(data)), File: process.File{Inode: 1}, Path: "/lib/libpython.so", Flags: bpf.Exec,
	}}, places
}

// Of a process that is not known to have an interpreter, the native stack is all there is.
func TestFunctionsOfAnUnknownInterpreterAreLeftOut(t *testing.T) {
	with := sample(8, one, 1, 0, 99)
	with.Python = 2
	w := &world{
		stacks: map[uint64][]uint64{1: {0x1100}, 2: {5}}, spaces: map[process.ID]process.Space{one: {library}},
		counts: []sampler.Count{{Sample: with, Number: 1}},
	}
	c, _ := begin(w)
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	if w.followed == nil || len(w.followed) != 0 {
		t.Errorf("followed %v", w.followed)
	}
	samples := flushed(t, c)[unknown].Sample
	if len(samples) != 1 || len(samples[0].Location) != 1 || samples[0].Location[0].Address != 0x100 {
		t.Errorf("%v", samples)
	}
}

// As it is where the interpreter's image is known: native code, then who called it, in Python.
func TestFunctionsOfPython(t *testing.T) {
	memory, space, places := aPython(t)
	with := sample(8, one, 1, 0, 99)
	with.Python = 2
	w := &world{
		stacks: map[uint64][]uint64{1: {base + 0x10}, 2: {5, 6}, 3: {base + 0x20}}, spaces: map[process.ID]process.Space{one: space},
		counts: []sampler.Count{{Sample: sample(8, one, 3, 0, 99), Number: 1}},
	}
	c, metrics := begin(w)
	c.symbols = symbols.New(nil, func(process.ID) io.ReaderAt { return memory })
	if err := c.Read(); err != nil { // its code ran: from now on the sampler walks it
		t.Fatal(err)
	}
	at := w.followed[one]
	if at.Runtime != base+places["_PyRuntime"] || at.CodeType != base+places["PyCode_Type"] || at.File != "/lib/libpython.so" {
		t.Fatalf("%+v, not %v", at, places)
	}
	lost := with
	lost.Python = 9
	w.counts = []sampler.Count{{Sample: with, Number: 1}, {Sample: lost, Number: 3}}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	var names [][]string
	for _, sample := range flushed(t, c)[unknown].Sample {
		var stack []string
		for _, location := range sample.Location {
			name := "-"
			if len(location.Line) > 0 {
				name = location.Line[0].Function.Name
			}
			stack = append(stack, name)
		}
		names = append(names, stack)
	}
	want := [][]string{{"-"}, {"-", "function 5", "function 6"}, {"-"}} // the last one's functions were evicted
	if !slices.EqualFunc(names, want, slices.Equal[[]string]) {
		t.Errorf("%v", names)
	}
	if lost := testutil.ToFloat64(metrics.StacksLost); lost != 3 {
		t.Errorf("%v stacks lost", lost)
	}
}
