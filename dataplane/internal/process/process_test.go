package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"

	"flameplane.dev/dataplane/bpf"
)

func printed(t testing.TB, records ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, each := range records {
		if text, ok := each.(string); ok {
			out.WriteString(text)
		} else if err := binary.Write(&out, order, each); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func twoTasks(t testing.TB) []byte {
	return printed(t,
		bpf.Task{Start: 7, Tgid: 1, Comm: [16]byte{'i', 'n', 'i', 't'}}, uint64(0),
		bpf.Task{Start: 9, Program: 4, Tgid: 2, Parent: 1, Comm: [16]byte{'a'}},
		uint64(64), "cri-1.scope\x00", uint64(63), "kubepods.slice\x00", uint64(0))
}

func twoSpaces(t testing.TB) []byte {
	return printed(t,
		bpf.Mapping{Start: 0x1000, End: 0x2000, Inode: 5, Device: 1, Tgid: 2, Born: 9, Path: 7}, "/bin/a\x00",
		bpf.Mapping{Start: 0x2000, End: 0x4000, Offset: 0x1000, Inode: 5, Device: 1, Tgid: 2, Born: 9,
			Flags: bpf.Exec | bpf.SameFile},
		bpf.Mapping{Start: 0x9000, End: 0xa000, Tgid: 2, Born: 9, Flags: bpf.Exec | bpf.Write},
		bpf.Mapping{Start: 0x1000, End: 0x2000, Inode: 6, Tgid: 3, Born: 10, Flags: bpf.Exec | bpf.SameFile})
}

func TestTasksWithTheirCgroups(t *testing.T) {
	found, err := parseTasks(twoTasks(t))
	want := []Task{
		{ID: ID{1, 7, 0}, Comm: "init"},
		{ID: ID{2, 9, 4}, Parent: 1, Comm: "a", Cgroups: []Cgroup{{ID: 63, Path: "/kubepods.slice"}, {ID: 64, Path: "/kubepods.slice/cri-1.scope"}}},
	}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Fatalf("%+v %v", found, err)
	}
}

func TestMappingsOfTheSameFileShareItsPath(t *testing.T) {
	found, err := parseMappings(twoSpaces(t))
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	space := found[ID{2, 9, 0}]
	if len(space) != 3 || space[1].Path != "/bin/a" || space[2].Path != "" || !space[1].Executable() {
		t.Errorf("%+v", space)
	}
	if found[ID{3, 10, 0}][0].Path != "" {
		t.Error("the path of another process's file")
	}
	if !space[0].Readable() || space[2].Readable() {
		t.Error("what cannot be read is asked for, or the other way round")
	}
	for address, want := range map[uint64]bool{0xfff: false, 0x1000: false, 0x2000: true, 0x3fff: true, 0x4000: false,
		0x9fff: true, 0xa000: false} {
		if mapping, ok := space.At(address); ok != want || ok && (address < mapping.Start || address >= mapping.End) {
			t.Errorf("%#x: %+v %v", address, mapping, ok)
		}
	}
}

func TestWhatIsCutOffIsAnError(t *testing.T) {
	tasks, spaces := twoTasks(t), twoSpaces(t)
	for size := 1; size < len(tasks)-1; size++ {
		if found, err := parseTasks(tasks[:size]); err == nil && len(found) != 1 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d: %+v %v", size, found, err)
		}
	}
	if _, err := parseMappings(spaces[:len(spaces)-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestAFileIsReadWhereItIsMapped(t *testing.T) {
	memory := bytes.NewReader([]byte("....headcodeDATA"))
	file := FileAt{memory, []Mapping{
		{Start: 4, End: 8, Offset: 0, File: File{1, 1}},
		{Start: 8, End: 12, Offset: 100, File: File{1, 1}},
		{Start: 12, End: 16, Offset: 200, File: File{1, 1}, Flags: bpf.Write},
	}}
	text := make([]byte, 4)
	for offset, want := range map[int64]string{0: "head", 100: "code"} {
		if _, err := file.ReadAt(text, offset); err != nil || string(text) != want {
			t.Errorf("%d: %s %v", offset, text, err)
		}
	}
	for _, offset := range []int64{2, 50, 200, -1} {
		if _, err := file.ReadAt(text, offset); err == nil {
			t.Errorf("%d: %s", offset, text)
		}
	}
}

func FuzzTasks(f *testing.F) {
	f.Add(twoTasks(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := parseTasks(data)
		if err == nil && len(data) > 0 && len(found) == 0 {
			t.Error("nothing, and no error")
		}
	})
}

func FuzzMappings(f *testing.F) {
	f.Add(twoSpaces(f))
	f.Fuzz(func(_ *testing.T, data []byte) {
		found, _ := parseMappings(data)
		for _, space := range found {
			space.At(0x1234)
		}
	})
}
