package gosymbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"flameplane.dev/dataplane/internal/elfimage"
)

const (
	block  = 64 << 10
	start  = "_rt0_" // begins the names of entry points
	goexit = "runtime.goexit"

	maxCalls = 2
	maxCode  = 256 << 20 // of a program, in which goexit is looked for
)

// ErrNone is what a program without a table of this kind gets.
var ErrNone = errors.New("no pclntab is mapped")

// Range is a part of a file.
type Range struct{ From, To uint64 }

// Find looks for the table in parts of the file that are mapped for reading. “bias“ is how far the program is loaded
// from where its headers say: up to Go 1.25 the table holds an address.
func Find(file io.ReaderAt, image *elfimage.Image, mapped []Range, bias uint64) (*Table, error) {
	for _, part := range mapped {
		found, err := scan(file, part, func(head []byte, at uint64) (*Table, error) {
			table, textStart, err := parse(head, at)
			if err != nil {
				return nil, err
			}
			if textStart != 0 {
				return table, table.anchor(image, textStart-bias)
			}
			if table.anchorAtEntry(file, image) == nil {
				return table, nil
			}
			return table, table.anchorAtExit(file, image)
		})
		if !errors.Is(err, ErrNone) {
			return found, err
		}
	}
	return nil, ErrNone
}

// scan looks for a header in one part of the file. Bytes that look like one and are none are passed over.
func scan(file io.ReaderAt, part Range, read func([]byte, uint64) (*Table, error)) (*Table, error) {
	data := make([]byte, block+headerSize)
	for at := part.From; at < part.To; at += block {
		size := min(uint64(len(data)), part.To-at)
		if _, err := readAt(file, data[:size], at); err != nil {
			return nil, fmt.Errorf("look for the pclntab: %w", err)
		}
		for i := uint64(0); i+headerSize <= size && i < block; i += 8 {
			magic := binary.LittleEndian.Uint32(data[i:])
			if magic != magic118 && magic != magic120 {
				continue
			}
			if found, err := read(data[i:i+headerSize], at+i); err == nil {
				return found, nil
			}
		}
	}
	return nil, ErrNone
}

func (t *Table) anchor(image *elfimage.Image, address uint64) error {
	offset, ok := image.Offset(address)
	if !ok {
		return fmt.Errorf("the text starts at %#x, where nothing is loaded", address)
	}
	t.text = offset
	return nil
}

// anchorAtEntry finds the start of the text by the program's entry point, which is a function of the table too. Go 1.26
// writes the address into the table no more. A program that C's linker made starts in C's code.
func (t *Table) anchorAtEntry(file io.ReaderAt, image *elfimage.Image) error {
	entry, ok := image.Offset(image.Entry)
	if !ok {
		return errors.New("the entry point is not loaded")
	}
	pages := &window{file: file}
	for index := range t.functions {
		from, at, err := t.entry(pages.at(0), index)
		if err != nil {
			return err
		}
		name, err := t.name(pages, at, len(start))
		if err != nil {
			return err
		}
		if name != start || uint64(from) > entry {
			continue
		}
		t.text = entry - uint64(from)
		if t.startsGo(file, entry) {
			return nil
		}
	}
	return errors.New("the entry point is no function of Go's")
}

// anchorAtExit finds the start of the text by what every goroutine returns to: runtime.goexit, which does nothing but
// call goexit1. How far it calls the table says, so that its seven bytes are known. It is for programs that C's
// linker made (cgo), on amd64.
func (t *Table) anchorAtExit(file io.ReaderAt, image *elfimage.Image) error {
	exit, calls := uint32(0), []uint32{}
	pages := &window{file: file}
	for index := range t.functions {
		from, at, err := t.entry(pages.at(0), index)
		if err != nil {
			return err
		}
		name, err := t.name(pages, at, len(goexit)+2)
		if err != nil {
			return err
		}
		switch {
		case name == goexit:
			exit = from
		case name == goexit+"1" && len(calls) < maxCalls: // one for Go's callers, and one for assembly
			calls = append(calls, from)
		}
		if exit != 0 && len(calls) == maxCalls {
			break
		}
	}
	for _, s := range image.Loads {
		if exit == 0 || s.Flags&elf.PF_X == 0 {
			continue
		}
		for _, call := range calls {
			code := binary.LittleEndian.AppendUint32([]byte{0x90, 0xe8}, call-exit-6)
			at, err := find(file, Range{s.Off, s.Off + min(s.Filesz, maxCode)}, append(code, 0x90))
			if err == nil && at >= uint64(exit) {
				t.text = at - uint64(exit)
				return nil
			}
		}
	}
	return errors.New("goexit is not where the table has it")
}

// name is the first bytes of a function's name, up to the 0 if it is among them.
func (t *Table) name(pages *window, at uint32, size int) (string, error) {
	var place [4]byte
	if _, err := readAt(pages.at(1), place[:], t.records+uint64(at)+4); err != nil {
		return "", err
	}
	text := make([]byte, size)
	read, err := readAt(pages.at(2), text, t.names+uint64(binary.LittleEndian.Uint32(place[:])))
	name, _, ended := bytes.Cut(text[:read], []byte{0})
	if !ended && read < size {
		return "", err
	}
	return string(name), nil
}

// find is where in a part of the file some bytes are.
func find(file io.ReaderAt, part Range, wanted []byte) (uint64, error) {
	data := make([]byte, block+len(wanted))
	for at := part.From; at < part.To; at += block {
		some := data[:min(uint64(len(data)), part.To-at)]
		if _, err := readAt(file, some, at); err != nil {
			return 0, err
		}
		if found := bytes.Index(some, wanted); found >= 0 {
			return at + uint64(found), nil
		}
	}
	return 0, io.EOF
}

// startsGo is whether the entry point is Go's own: on amd64 a jump to the function that its name says, elsewhere the
// text must begin with a page, as Go's linker has it.
func (t *Table) startsGo(file io.ReaderAt, entry uint64) bool {
	frame, err := t.Lookup(file, entry)
	if err != nil {
		return false
	}
	system := strings.LastIndexByte(frame.Function, '_')
	if !strings.HasPrefix(frame.Function, "_rt0_amd64_") {
		return system > 0 && t.text%4096 == 0
	}
	var jump [5]byte
	if _, err := readAt(file, jump[:], entry); err != nil || jump[0] != 0xe9 {
		return false
	}
	to, err := t.Lookup(file, entry+5+uint64(int64(int32(binary.LittleEndian.Uint32(jump[1:])))))
	return err == nil && to.Function == frame.Function[:system]
}

// window keeps a block for each of a few readers that go forwards.
type window struct {
	file   io.ReaderAt
	blocks [3]struct {
		at   uint64
		data []byte
	}
}

type view struct {
	window *window
	index  int
}

func (w *window) at(index int) io.ReaderAt { return view{w, index} }

func (v view) ReadAt(into []byte, offset int64) (int, error) {
	kept, at := &v.window.blocks[v.index], uint64(offset)
	if at < kept.at || at+uint64(len(into)) > kept.at+uint64(len(kept.data)) {
		data := make([]byte, block)
		read, err := readAt(v.window.file, data, at)
		if read < len(into) {
			return read, errors.Join(err, io.ErrUnexpectedEOF)
		}
		kept.at, kept.data = at, data[:read]
	}
	return bytes.NewReader(kept.data[at-kept.at:]).Read(into)
}
