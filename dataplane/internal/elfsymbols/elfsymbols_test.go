package elfsymbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"

	"flameplane.dev/dataplane/internal/elfimage"
)

const library = "/lib/x86_64-linux-gnu/libc.so.6"

func read(t testing.TB) ([]byte, *elfimage.Image, *elf.File) {
	t.Helper()
	data, err := os.ReadFile(library)
	if err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	image, err := elfimage.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return data, image, whole
}

// agrees compares with debug/elf, which has all sections at hand: every place has a name that a symbol there has.
func agrees(t *testing.T, data []byte, image *elfimage.Image, whole *elf.File, bias uint64) {
	t.Helper()
	file := bytes.NewReader(data)
	table, err := Read(file, image, bias)
	if err != nil {
		t.Fatal(err)
	}
	all, err := whole.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint64]map[string]bool{}
	var starts []elf.Symbol
	for _, symbol := range all {
		kind := elf.ST_TYPE(symbol.Info)
		if symbol.Section == elf.SHN_UNDEF || symbol.Size == 0 || kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC {
			continue
		}
		if names[symbol.Value] == nil {
			names[symbol.Value] = map[string]bool{}
			starts = append(starts, symbol)
		}
		names[symbol.Value][symbol.Name] = true
	}
	if len(starts) < 1000 {
		t.Fatalf("%d functions", len(starts))
	}
	for _, symbol := range starts {
		offset, ok := image.Offset(symbol.Value + rand.Uint64N(symbol.Size))
		if !ok {
			t.Fatalf("%s is nowhere", symbol.Name)
		}
		name, err := table.Lookup(file, offset)
		start, _ := image.Offset(symbol.Value)
		if err != nil || !names[symbol.Value][name] && offset == start {
			t.Errorf("%s: %q %v", symbol.Name, name, err)
		}
		if name == "" {
			t.Errorf("%s has no name at %#x", symbol.Name, offset-start)
		}
	}
	for _, offset := range []uint64{0, uint64(len(data)), 1 << 60} {
		if name, err := table.Lookup(file, offset); name != "" || err != nil {
			t.Errorf("%#x: %s %v", offset, name, err)
		}
	}
}

func TestAgreesWithTheStandardLibrary(t *testing.T) {
	data, image, whole := read(t)
	agrees(t, data, image, whole, 0)
}

// As it is in a process: glibc's loader has added where it put the library to the addresses of the dynamic section.
func TestAsTheLoaderLeavesIt(t *testing.T) {
	data, image, whole := read(t)
	const bias = 0x7f1234560000
	relocated := bytes.Clone(data)
	section := relocated[image.Dynamic.Off:][:image.Dynamic.Filesz]
	for at := 0; at+16 <= len(section); at += 16 {
		switch elf.DynTag(binary.LittleEndian.Uint64(section[at:])) {
		case elf.DT_SYMTAB, elf.DT_STRTAB, elf.DT_GNU_HASH, elf.DT_HASH:
			binary.LittleEndian.PutUint64(section[at+8:], binary.LittleEndian.Uint64(section[at+8:])+bias)
		}
	}
	agrees(t, relocated, image, whole, bias)
	if table, err := Read(bytes.NewReader(relocated), image, 0); err == nil {
		t.Errorf("%d functions of a library loaded elsewhere", len(table.functions))
	}
}

func TestAStaticProgramExportsNothing(t *testing.T) {
	_, image, _ := read(t)
	image.Dynamic = elf.ProgHeader{}
	table, err := Read(bytes.NewReader(nil), image, 0)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := table.Lookup(bytes.NewReader(nil), 5); name != "" || err != nil {
		t.Error(name, err)
	}
}

// Every symbol of the library is found by its name, as the loader finds it.
func TestFindsByName(t *testing.T) {
	data, image, whole := read(t)
	file := bytes.NewReader(data)
	all, err := whole.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	places, asked := map[string]map[uint64]bool{}, 0
	for _, symbol := range all {
		if places[symbol.Name] == nil {
			places[symbol.Name] = map[uint64]bool{}
		}
		if symbol.Section != elf.SHN_UNDEF { // of several versions any will do
			places[symbol.Name][symbol.Value] = true
		}
	}
	for name, known := range places {
		asked++
		if found, err := Find(file, image, 0, name); err != nil || len(known) == 0 && found != 0 || len(known) > 0 && !known[found] {
			t.Errorf("%s: %#x %v", name, found, err)
		}
	}
	if asked < 1000 {
		t.Errorf("%d symbols", asked)
	}
	for _, name := range []string{"", "no such symbol", "_PyRuntime"} {
		if found, err := Find(file, image, 0, name); found != 0 || err != nil {
			t.Errorf("%q: %#x %v", name, found, err)
		}
	}
}

func FuzzFind(f *testing.F) {
	data, image, _ := read(f)
	at := bytes.Index(data, []byte("qsort\x00"))
	f.Add(data[image.Dynamic.Off:][:image.Dynamic.Filesz], data[:0x200], "qsort", at)
	f.Fuzz(func(_ *testing.T, section, other []byte, name string, at int) {
		changed := bytes.Clone(data)
		copy(changed[image.Dynamic.Off:][:image.Dynamic.Filesz], section)
		if at >= 0 && at < len(changed) {
			copy(changed[at:], other)
		}
		_, _ = Find(bytes.NewReader(changed), image, 0, name)
	})
}

func FuzzRead(f *testing.F) {
	data, image, _ := read(f)
	f.Add(data[image.Dynamic.Off:][:image.Dynamic.Filesz], uint64(5), uint64(0x1000))
	f.Fuzz(func(_ *testing.T, section []byte, bias, offset uint64) {
		changed := bytes.Clone(data)
		copy(changed[image.Dynamic.Off:][:image.Dynamic.Filesz], section)
		file := bytes.NewReader(changed)
		if table, err := Read(file, image, bias); err == nil {
			_, _ = table.Lookup(file, offset)
		}
	})
}
