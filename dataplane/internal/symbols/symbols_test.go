package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"testing"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/process"
)

// biased is a file loaded at an address.
type biased struct {
	file  io.ReaderAt
	start int64
}

func (b biased) ReadAt(into []byte, address int64) (int, error) {
	return b.file.ReadAt(into, address-b.start)
}

type gone struct{}

func (gone) ReadAt([]byte, int64) (int, error) { return 0, errors.New("no such process") }

type kernel map[uint64]string

func (k kernel) Name(address uint64) (string, bool) { name, ok := k[address]; return name, ok }

const base = 0x7f0000000000

// self is this test's program as a process that loads it at “base“, in one piece.
func self(t *testing.T) (memory io.ReaderAt, space process.Space, text *elf.Section, entry uint64) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skipf("NOT RUN: no program of Linux: %v", err)
	}
	whole, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text = whole.Section(".text")
	space = process.Space{
		{Start: base, End: base + uint64(len(data)), File: process.File{Inode: 1}, Path: "/bin/self", Flags: bpf.Exec},
		{Start: base + 1<<40, End: base + 1<<41, Flags: bpf.Exec | bpf.Write},
	}
	return biased{bytes.NewReader(data), base}, space, text, whole.Entry - text.Addr + text.Offset
}

func TestNamesOfAGoProgram(t *testing.T) {
	memory, space, _, entry := self(t)
	asked := 0
	s := New(nil, func(process.ID) io.ReaderAt { asked++; return memory })
	id := process.ID{Tgid: 1, Start: 2}
	frames := s.Of(id, space).Frames([]uint64{base + entry, base + entry + 1, base + 1<<40 + 8})
	if len(frames) != 3 || frames[2] != Written {
		t.Fatalf("%+v", frames)
	}
	for _, frame := range frames[:2] { // the second is a return address
		if frame.Address != entry || frame.Function == "" || frame.Image.BuildID == "" || frame.Image.File != "/bin/self" {
			t.Errorf("%+v", frame)
		}
	}
	if again := s.Of(id, space).Frames([]uint64{base + entry}); again[0] != frames[0] || asked != 1 {
		t.Errorf("%+v, asked %d times", again, asked)
	}
	if frames := s.Of(id, space).Frames([]uint64{5, base + entry}); len(frames) != 1 || frames[0] != Unmapped {
		t.Errorf("%+v", frames)
	}
	if frames := s.Of(id, space).Frames([]uint64{base + entry, 5, base + entry}); len(frames) != 1 || frames[0].Function == "" {
		t.Errorf("what follows a broken link: %+v", frames)
	}
}

func TestAProcessThatEndedLeavesItsProgramToTheNext(t *testing.T) {
	memory, space, _, entry := self(t)
	readers := []io.ReaderAt{gone{}, memory}
	s := New(nil, func(process.ID) io.ReaderAt {
		next := readers[0]
		readers = readers[1:]
		return next
	})
	first := s.Of(process.ID{Tgid: 1}, space).Frames([]uint64{base + entry})
	if first[0].Function != "" || first[0].Image.File != "/bin/self" || first[0].Address != entry {
		t.Errorf("%+v", first)
	}
	second := s.Of(process.ID{Tgid: 2}, space).Frames([]uint64{base + entry})
	if second[0].Function == "" {
		t.Errorf("%+v", second)
	}
}

func TestKernelStacksAreOneLocationPerFunction(t *testing.T) {
	const read, ret = 0xffffffff81000010, 0xffffffff81000100
	s := New(kernel{read: "vfs_read", ret - 1: "ksys_read"}, nil)
	frames := s.KernelFrames([]uint64{read, ret, 0xffffffff82000000})
	if frames[0].Function != "vfs_read" || frames[1].Function != "ksys_read" || frames[0].Address != frames[1].Address {
		t.Errorf("%+v", frames)
	}
	if frames[2].Function != "" || frames[2].Address != 0xffffffff82000000 {
		t.Errorf("%+v", frames[2])
	}
}
