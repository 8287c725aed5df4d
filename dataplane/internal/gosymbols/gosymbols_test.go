package gosymbols

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flameplane.dev/dataplane/internal/elfimage"
)

// program is a Go program's file, as itself and as its image.
type program struct {
	data  []byte
	whole *elf.File
	image *elfimage.Image
}

func read(t testing.TB, path string) program {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("NOT RUN: no program of Linux: %v", err)
	}
	whole, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	image, err := elfimage.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return program{data, whole, image}
}

// mapped are the segments that cannot be written to, as they lie in memory.
func (p program) mapped() []Range {
	var found []Range
	for _, s := range p.image.Loads {
		if s.Flags&elf.PF_W == 0 {
			found = append(found, Range{s.Off, s.Off + s.Filesz})
		}
	}
	return found
}

// Every function, and thousands of places in them, as debug/gosym finds them with the whole file at hand.
func agrees(t *testing.T, p program, table *Table) {
	t.Helper()
	section := p.whole.Section(".gopclntab")
	if section == nil {
		section = p.whole.Section(".data.rel.ro.gopclntab")
	}
	tab, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	text := p.whole.Section(".text")
	known, err := gosym.NewTable(nil, gosym.NewLineTable(tab, text.Addr))
	if err != nil {
		t.Fatal(err)
	}
	file, checked := bytes.NewReader(p.data), 0
	for i := range known.Funcs {
		if len(known.Funcs) > 2000 && rand.IntN(len(known.Funcs)) > 2000 {
			continue
		}
		function := &known.Funcs[i]
		pc := function.Entry + rand.Uint64N(max(function.End-function.Entry, 1))
		path, line, found := known.PCToLine(pc)
		frame, err := table.Lookup(file, pc-text.Addr+text.Offset)
		if err != nil || found == nil || frame.Function != found.Name {
			t.Fatalf("%#x: %+v %v, not %s", pc, frame, err, function.Name)
		}
		if line > 0 && (frame.Line != int64(line) || frame.File != path) {
			t.Fatalf("%s: %s:%d, not %s:%d", function.Name, frame.File, frame.Line, path, line)
		}
		checked++
	}
	if checked < 1000 {
		t.Errorf("only %d functions were checked", checked)
	}
	end := known.Funcs[len(known.Funcs)-1].End - text.Addr + text.Offset
	for _, offset := range []uint64{0, text.Offset - 1, end, 1 << 50} {
		if frame, err := table.Lookup(file, offset); err == nil {
			t.Errorf("%#x: %+v", offset, frame)
		}
	}
}

func TestAgreesWithTheStandardLibrary(t *testing.T) {
	p := read(t, "/proc/self/exe")
	table, err := Find(bytes.NewReader(p.data), p.image, p.mapped(), 0)
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, p, table)
}

func build(t *testing.T, flags ...string) string {
	t.Helper()
	return buildOf(t, "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n", "0", flags...)
}

func buildOf(t *testing.T, code, cgo string, flags ...string) string {
	t.Helper()
	folder := t.TempDir()
	source, out := filepath.Join(folder, "main.go"), filepath.Join(folder, "main")
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, source)...)
	command.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOFLAGS=")
	if said, err := command.CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: go cannot build here: %v %s", err, said)
	}
	return out
}

func TestOtherWaysToLink(t *testing.T) {
	for name, flags := range map[string][]string{
		"stripped": {"-ldflags=-s -w"}, "position independent": {"-buildmode=pie"},
	} {
		t.Run(name, func(t *testing.T) {
			p := read(t, build(t, flags...))
			mapped := p.mapped()
			if name == "position independent" { // its table is read-only once the program has started
				section := p.whole.Section(".gopclntab")
				if section == nil {
					section = p.whole.Section(".data.rel.ro.gopclntab")
				}
				mapped = []Range{{section.Offset &^ 7, section.Offset + section.Size}}
			}
			table, err := Find(bytes.NewReader(p.data), p.image, mapped, 0)
			if err != nil {
				t.Fatal(err)
			}
			agrees(t, p, table)
		})
	}
}

// C's linker puts C's code before Go's and behind it, and starts the program in it.
func TestProgramsOfTheLinkerOfC(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	code := "package main\n\n// int one(void) { return 1; }\nimport \"C\"\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(C.one()) }\n"
	texts := map[string]uint64{}
	for name, flags := range map[string][]string{
		"plain": nil, "stripped": {"-ldflags=-s -w"}, "position independent": {"-buildmode=pie"},
	} {
		t.Run(name, func(t *testing.T) {
			p := read(t, buildOf(t, code, "1", flags...))
			section := p.whole.Section(".gopclntab")
			if section == nil {
				section = p.whole.Section(".data.rel.ro.gopclntab")
			}
			mapped := []Range{{section.Offset &^ 7, section.Offset + section.Size}}
			table, err := Find(bytes.NewReader(p.data), p.image, mapped, 0)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = table.text
			if name != "stripped" {
				agreesWithSymbols(t, p, table)
			}
		})
	}
	if texts["plain"] == 0 || texts["plain"] != texts["stripped"] {
		t.Errorf("the text starts at %v", texts)
	}
}

// agreesWithSymbols compares with the symbols of the file.
func agreesWithSymbols(t *testing.T, p program, table *Table) {
	t.Helper()
	file := bytes.NewReader(p.data)
	all, err := p.whole.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, symbol := range all {
		offset, ok := p.image.Offset(symbol.Value)
		frame, failed := table.Lookup(file, offset)
		switch {
		case elf.ST_TYPE(symbol.Info) != elf.STT_FUNC || !ok:
		case symbol.Name == "one" || symbol.Name == "_start":
			if failed == nil && frame.Function == "main.main" {
				t.Errorf("%s is %+v", symbol.Name, frame)
			}
		case strings.HasPrefix(symbol.Name, "runtime.") && !strings.Contains(symbol.Name, ".abi") && symbol.Size > 0:
			if checked++; failed != nil || frame.Function != symbol.Name {
				t.Errorf("%s is %+v %v", symbol.Name, frame, failed)
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d functions were checked", checked)
	}
}

func TestNoTable(t *testing.T) {
	p := read(t, "/proc/self/exe")
	file := bytes.NewReader(make([]byte, 1<<20))
	if _, err := Find(file, p.image, []Range{{0, 1 << 20}}, 0); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := Find(file, p.image, []Range{{0, 1 << 21}}, 0); err == nil || errors.Is(err, ErrNone) {
		t.Error("what cannot be read counts as read")
	}
	p.image.Entry += 16 // a program that starts elsewhere, and ends as all do
	table, err := Find(bytes.NewReader(p.data), p.image, p.mapped(), 0)
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, p, table)
	for _, s := range p.image.Loads {
		if s.Flags&elf.PF_X != 0 {
			clear(p.data[s.Off:][:s.Filesz])
		}
	}
	if table, err := Find(bytes.NewReader(p.data), p.image, p.mapped(), 0); err == nil {
		t.Errorf("%+v", table)
	}
}

func FuzzLookup(f *testing.F) {
	p := read(f, "/proc/self/exe")
	section := p.whole.Section(".gopclntab")
	f.Add(p.data[section.Offset:section.Offset+64<<10], uint64(0x1234))
	f.Fuzz(func(_ *testing.T, data []byte, offset uint64) {
		if len(data) < headerSize {
			return
		}
		file := bytes.NewReader(data)
		table, _, err := parse(data[:headerSize], 0)
		if err != nil {
			return
		}
		_, _ = table.Lookup(file, offset)
		_ = table.anchorAtEntry(file, p.image)
		_ = table.anchorAtExit(file, p.image)
	})
}
