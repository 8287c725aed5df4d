// Package python gives stacks the names of Python's functions. The sampler walks the interpreter's frames in the kernel
// and copies the names; the agent tells it which processes have an interpreter, and where that has its state.
package python

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/cilium/ebpf"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/bpfmap"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/elfimage"
	"flameplane.dev/dataplane/internal/elfsymbols"
	"flameplane.dev/dataplane/internal/pins"
	"flameplane.dev/dataplane/internal/process"
)

const (
	maxProcesses = 2048 // half of the map: new ones come before old ones go
	maxFunctions = 1 << 14
	evaluator    = "_PyEval_EvalFrameDefault" // runs functions of Python
)

// Unknown is a function whose name was evicted before it was read.
var Unknown = cpuprofile.Frame{Function: "[python function]"}

// Interpreter is an image that holds CPython: libpython, or a program that has it built in.
type Interpreter struct {
	File string
	bpf.Interpreter
}

// Find is where an image has it, as its headers say; false where it is no interpreter. What version it is
// only its memory says.
func Find(file io.ReaderAt, image *elfimage.Image, bias uint64) (found bpf.Interpreter, ok bool, err error) {
	if image.Dynamic.Filesz == 0 {
		return found, false, nil
	}
	for name, into := range map[string]*uint64{"_PyRuntime": &found.Runtime, "PyCode_Type": &found.CodeType} {
		if *into, err = elfsymbols.Find(file, image, bias, name); err != nil || *into == 0 {
			return bpf.Interpreter{}, false, err
		}
	}
	return found, true, nil
}

// Functions are those that the sampler came by.
type Functions struct {
	codes, outcomes *ebpf.Map
	followed        *bpfmap.Mirror[bpf.Program, bpf.Interpreter]
	known           map[uint64]cpuprofile.Frame
}

// New follows nobody at first.
func New(opened *pins.Pins) (*Functions, error) {
	followed, err := bpfmap.NewMirror[bpf.Program, bpf.Interpreter](opened.Maps[bpf.Interpreters])
	if err != nil {
		return nil, fmt.Errorf("read the processes with a Python interpreter: %w", err)
	}
	f := &Functions{
		codes: opened.Maps[bpf.Codes], outcomes: opened.Maps[bpf.PythonOutcomes], known: map[uint64]cpuprofile.Frame{},
		followed: followed,
	}
	return f, f.Follow(nil)
}

// Follow says which processes have an interpreter. More than the map holds are left out.
func (f *Functions) Follow(wanted map[process.ID]Interpreter) error {
	all := map[bpf.Program]bpf.Interpreter{}
	for id, at := range wanted {
		if len(all) < maxProcesses {
			all[bpf.Program{Start: id.Start, Program: id.Program, Tgid: id.Tgid}] = at.Interpreter
		}
	}
	if err := f.followed.Set(all); err != nil {
		return fmt.Errorf("processes with a Python interpreter: %w", err)
	}
	return nil
}

// Frames are the functions of a stack.
func (f *Functions) Frames(keys []uint64) []cpuprofile.Frame {
	frames := make([]cpuprofile.Frame, len(keys))
	for i, key := range keys {
		known, ok := f.known[key]
		if !ok {
			var code bpf.Code
			if err := f.codes.Lookup(key, &code); err != nil {
				frames[i] = Unknown
				continue
			}
			if len(f.known) >= maxFunctions {
				f.known = map[uint64]cpuprofile.Frame{}
			}
			known = frame(&code)
			f.known[key] = known
		}
		frames[i] = known
	}
	return frames
}

// Outcomes are the numbers of Python stacks since the programs were loaded, by what became of them.
func (f *Functions) Outcomes() (map[string]uint64, error) {
	found := map[string]uint64{}
	for name, index := range map[string]uint32{
		"walked": bpf.PythonWalked, "partly": bpf.PythonPartly, "no_thread": bpf.PythonNoThread,
		"unreadable": bpf.PythonUnreadable, "unknown_version": bpf.PythonUnknown,
	} {
		number, err := bpfmap.Sum(f.outcomes, index)
		if err != nil {
			return nil, err
		}
		found[name] = number
	}
	return found, nil
}

func frame(code *bpf.Code) cpuprofile.Frame {
	name, err := text(code.Name[:], code.NameSize, code.NameKind, code.NameCut)
	if err != nil || name == "" {
		return Unknown
	}
	file, err := text(code.File[:], code.FileSize, code.FileKind, code.FileCut)
	if err != nil {
		file = ""
	}
	return cpuprofile.Frame{Function: name, File: file, Line: int64(code.Line), Start: int64(code.Line)}
}

// text reads characters of one, two or four bytes, as CPython keeps them.
func text(data []byte, size uint32, wide, cut uint8) (string, error) {
	if wide != 1 && wide != 2 && wide != 4 {
		return "", fmt.Errorf("characters of %d bytes", wide)
	}
	if uint64(size) > uint64(len(data)) || size%uint32(wide) != 0 {
		return "", errors.New("a text that is longer than its room, or not whole")
	}
	var found strings.Builder
	if cut != 0 {
		found.WriteString("…")
	}
	for at := 0; at < int(size); at += int(wide) {
		var letter rune
		for i := range int(wide) {
			letter |= rune(data[at+i]) << (8 * i)
		}
		if utf16.IsSurrogate(letter) || letter == 0 {
			letter = '\uFFFD' // it could not be sent
		}
		found.WriteRune(letter)
	}
	return found.String(), nil
}

// Join puts Python's functions below what they called. Of the native stack that is what lies above the
// interpreter's loop: the callers of the loop are the interpreter itself, and are left out for its functions. Where
// the chain of frame pointers does not reach the loop, it is true as far as it has not come to the interpreter.
func Join(native, functions []cpuprofile.Frame, file string) []cpuprofile.Frame {
	if len(functions) == 0 {
		return native
	}
	called := native
	for i, each := range native {
		if each.Image.File == file && strings.HasPrefix(each.Function, evaluator) {
			return append(native[:i:i], functions...)
		}
		if each.Image.File == file && len(called) == len(native) {
			called = native[:i+1] // a function of the interpreter: what it calls itself by may be anything
		}
	}
	return append(called[:len(called):len(called)], functions...)
}
