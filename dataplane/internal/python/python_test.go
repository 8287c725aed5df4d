package python

import (
	"bytes"
	"debug/elf"
	"os"
	"slices"
	"testing"
	"unicode/utf8"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/elfimage"
)

func code(name string, nameKind uint8, file string, line uint32) *bpf.Code {
	c := &bpf.Code{Line: line, NameSize: uint32(len(name)), NameKind: nameKind, FileSize: uint32(len(file)), FileKind: 1}
	copy(c.Name[:], name)
	copy(c.File[:], file)
	return c
}

func TestNamesOfFunctions(t *testing.T) {
	cut := code("klass.method", 1, "/x.py", 7)
	cut.NameCut = 1
	long := code("f", 1, "/x.py", 7)
	long.NameSize = 500
	broken := code("f", 1, "/x.py", 7)
	broken.FileKind = 3
	for _, row := range []struct {
		code *bpf.Code
		want cpuprofile.Frame
	}{
		{code("Work.burn", 1, "/app/busy.py", 31), cpuprofile.Frame{Function: "Work.burn", File: "/app/busy.py", Line: 31, Start: 31}},
		{code("gr\xf6\xdfe", 1, "a", 1), cpuprofile.Frame{Function: "größe", File: "a", Line: 1, Start: 1}},
		{code("\x3b\x04\x10\x04", 2, "a", 1), cpuprofile.Frame{Function: "лА", File: "a", Line: 1, Start: 1}},
		{code("\x48\xf5\x01\x00", 4, "a", 1), cpuprofile.Frame{Function: "🕈", File: "a", Line: 1, Start: 1}},
		{code("\x00\xd8", 2, "a", 1), cpuprofile.Frame{Function: "\uFFFD", File: "a", Line: 1, Start: 1}}, // half a pair
		{cut, cpuprofile.Frame{Function: "…klass.method", File: "/x.py", Line: 7, Start: 7}},
		{broken, cpuprofile.Frame{Function: "f", Line: 7, Start: 7}},
		{long, Unknown}, {code("abc", 2, "a", 1), Unknown}, {code("", 1, "a", 1), Unknown},
	} {
		if found := frame(row.code); found != row.want {
			t.Errorf("%+v, not %+v", found, row.want)
		}
	}
}

func TestFunctionsAreTheCallersOfWhatTheyCall(t *testing.T) {
	const file = "/lib/libpython.so"
	native := func(file, name string) cpuprofile.Frame {
		return cpuprofile.Frame{Function: name, Image: cpuprofile.Image{File: file}}
	}
	copies, static, loop := native("/lib/libc.so", "memcpy"), native(file, ""), native(file, evaluator)
	inner, outer := cpuprofile.Frame{Function: "inner"}, cpuprofile.Frame{Function: "outer"}
	functions := []cpuprofile.Frame{inner, outer}
	for name, row := range map[string]struct{ native, want []cpuprofile.Frame }{
		"in the loop":              {[]cpuprofile.Frame{loop, static, copies}, functions},
		"a builtin":                {[]cpuprofile.Frame{copies, static, loop, static, loop}, []cpuprofile.Frame{copies, static, inner, outer}},
		"a chain that breaks":      {[]cpuprofile.Frame{copies, static, copies, static}, []cpuprofile.Frame{copies, static, inner, outer}},
		"a library alone":          {[]cpuprofile.Frame{copies}, []cpuprofile.Frame{copies, inner, outer}},
		"the loop of another":      {[]cpuprofile.Frame{native("/lib/other.so", evaluator)}, []cpuprofile.Frame{native("/lib/other.so", evaluator), inner, outer}},
		"nothing but the function": {nil, functions},
	} {
		before := slices.Clone(row.native)
		if found := Join(row.native, functions, file); !slices.Equal(found, row.want) {
			t.Errorf("%s: %+v", name, found)
		}
		if !slices.Equal(before, row.native) {
			t.Errorf("%s: what is kept for others was written to", name)
		}
	}
	if found := Join([]cpuprofile.Frame{loop}, nil, file); !slices.Equal(found, []cpuprofile.Frame{loop}) {
		t.Errorf("without functions: %+v", found)
	}
}

func TestWhatIsNoInterpreter(t *testing.T) {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skipf("NOT RUN: no program of Linux: %v", err)
	}
	image, err := elfimage.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	image.Dynamic = elf.ProgHeader{}
	if found, ok, err := Find(bytes.NewReader(data), image, 0); ok || err != nil {
		t.Errorf("%+v %v", found, err)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("name"), uint32(4), uint8(1), uint8(0))
	f.Add([]byte("\x3b\x04\x10\x04"), uint32(4), uint8(2), uint8(1))
	f.Add([]byte("\x00\xd8\xff\xff"), uint32(4), uint8(4), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, size uint32, wide, cut uint8) {
		found, err := text(data, size, wide, cut)
		if err == nil && !utf8.ValidString(found) {
			t.Errorf("%q", found)
		}
	})
}
