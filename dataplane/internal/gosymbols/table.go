// Package gosymbols finds functions of Go programs in their own pclntab, the table that Go's runtime unwinds by. It is
// in every binary, stripped or not, and in memory that is mapped from the file.
//
// debug/gosym reads the same, but wants the whole table at once: for a big program that is tens of megabytes. Here it is
// read where it lies, a few pages for a look-up. All places are offsets in the file, so that one table serves every
// process of a program, wherever it is loaded. The bytes are an application's: nothing in them is taken for granted.
package gosymbols

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
)

const (
	magic118, magic120 = 0xfffffff0, 0xfffffff1
	headerSize         = 8 + 8*8
	recordSize         = 40 // of a function, as far as it is read
	maxFunctions       = 1 << 23
	maxText            = 4096    // bytes of a name, which generics make long
	maxLines           = 1 << 16 // steps of one function's table of lines
)

// Table is where the parts of a pclntab lie.
type Table struct {
	functions                           uint64 // how many
	quantum                             uint64
	names, units, files, lines, records uint64
	text                                uint64 // what entries of functions count from
	startLines                          bool   // since Go 1.20
}

// Frame is where a program was.
type Frame struct {
	Function, File  string
	Line, StartLine int64
}

// header is the table's beginning: Go 1.18 and later, 64 bits.
type header struct {
	Magic                                                          uint32
	Zero                                                           uint16
	Quantum, Pointer                                               uint8
	Functions, Files, TextStart, Names, Units, FileNames, PC, Line uint64
}

func parse(data []byte, at uint64) (*Table, uint64, error) {
	var h header
	if _, err := binary.Decode(data, binary.LittleEndian, &h); err != nil {
		return nil, 0, err
	}
	if h.Magic != magic118 && h.Magic != magic120 || h.Zero != 0 || h.Pointer != 8 ||
		h.Quantum != 1 && h.Quantum != 2 && h.Quantum != 4 {
		return nil, 0, errors.New("no pclntab of Go 1.18 or later")
	}
	if h.Functions == 0 || h.Functions > maxFunctions {
		return nil, 0, fmt.Errorf("a pclntab of %d functions", h.Functions)
	}
	before := uint64(0)
	for _, part := range []uint64{h.Names, h.Units, h.FileNames, h.PC, h.Line} {
		if part < before || part > 1<<32 {
			return nil, 0, errors.New("a pclntab whose parts do not follow each other")
		}
		before = part
	}
	return &Table{
		functions: h.Functions, quantum: uint64(h.Quantum), startLines: h.Magic == magic120,
		names: at + h.Names, units: at + h.Units, files: at + h.FileNames, lines: at + h.PC, records: at + h.Line,
	}, h.TextStart, nil
}

// Lookup finds the function that holds an offset of the file.
func (t *Table) Lookup(file io.ReaderAt, offset uint64) (Frame, error) {
	if offset < t.text {
		return Frame{}, errors.New("before the first function")
	}
	pc := offset - t.text
	var failed error
	index := sort.Search(int(t.functions)+1, func(i int) bool {
		entry, _, err := t.entry(file, uint64(i))
		failed = errors.Join(failed, err)
		return err != nil || uint64(entry) > pc
	})
	if failed != nil {
		return Frame{}, failed
	}
	if index == 0 || index > int(t.functions) {
		return Frame{}, errors.New("no function is there")
	}
	entry, at, err := t.entry(file, uint64(index-1))
	if err != nil {
		return Frame{}, err
	}
	return t.frame(file, at, pc-uint64(entry))
}

// entry is where a function begins, from the start of the text, and where its record lies, from that of the records.
func (t *Table) entry(file io.ReaderAt, index uint64) (entry, record uint32, err error) {
	size := 8
	if index == t.functions {
		size = 4 // the end of the last one
	}
	var pair [8]byte
	_, err = readAt(file, pair[:size], t.records+index*8)
	return binary.LittleEndian.Uint32(pair[:]), binary.LittleEndian.Uint32(pair[4:]), err
}

// record is Go's runtime._func.
type record struct {
	Entry, Name, Arguments, DeferReturn, PCSP, PCFile, PCLine, PCData, Unit, StartLine uint32
}

func (t *Table) frame(file io.ReaderAt, at uint32, pc uint64) (Frame, error) {
	var r record
	data := make([]byte, recordSize)
	if _, err := readAt(file, data, t.records+uint64(at)); err != nil {
		return Frame{}, err
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &r); err != nil {
		return Frame{}, err
	}
	name, err := text(file, t.names+uint64(r.Name))
	if err != nil || name == "" {
		return Frame{}, errors.Join(err, errors.New("a function without a name"))
	}
	frame := Frame{Function: name}
	if t.startLines {
		frame.StartLine = int64(r.StartLine)
	}
	// A name without a line is still a name.
	if line, err := t.value(file, r.PCLine, pc); err == nil && line > 0 {
		frame.Line = int64(line)
	}
	if number, err := t.value(file, r.PCFile, pc); err == nil && number >= 0 && r.Unit != ^uint32(0) {
		var place [4]byte
		if _, err := readAt(file, place[:], t.units+4*(uint64(r.Unit)+uint64(number))); err == nil {
			if path, err := text(file, t.files+uint64(binary.LittleEndian.Uint32(place[:]))); err == nil {
				frame.File = path
			}
		}
	}
	return frame, nil
}

// value walks a function's table of values by program counter: pairs of a difference of the value and one of the counter.
func (t *Table) value(file io.ReaderAt, table uint32, pc uint64) (int32, error) {
	if table == 0 {
		return -1, errors.New("no table")
	}
	steps := &stream{file: file, at: t.lines + uint64(table)}
	value, at := int32(-1), uint64(0)
	for step := range maxLines {
		change := steps.varint()
		if change == 0 && step > 0 {
			break
		}
		if change&1 != 0 {
			value += int32(^(change >> 1))
		} else {
			value += int32(change >> 1)
		}
		at += uint64(steps.varint()) * t.quantum
		if steps.err != nil {
			return -1, steps.err
		}
		if pc < at {
			return value, nil
		}
	}
	return -1, errors.New("past the end of the function")
}

// stream reads small pieces one after the other.
type stream struct {
	file io.ReaderAt
	at   uint64
	kept []byte
	err  error
}

func (s *stream) varint() uint32 {
	var value uint32
	for shift := 0; shift < 32; shift += 7 {
		if len(s.kept) == 0 && s.err == nil {
			some := make([]byte, 64)
			read, err := readAt(s.file, some, s.at)
			if read == 0 {
				s.err = errors.Join(err, io.ErrUnexpectedEOF)
			}
			s.kept, s.at = some[:read], s.at+uint64(read)
		}
		if s.err != nil {
			return 0
		}
		next := s.kept[0]
		s.kept = s.kept[1:]
		value |= uint32(next&0x7f) << shift
		if next&0x80 == 0 {
			return value
		}
	}
	s.err = errors.New("a number that is too long")
	return 0
}

// text reads up to the next 0.
func text(file io.ReaderAt, at uint64) (string, error) {
	var found []byte
	for len(found) < maxText {
		some := make([]byte, 128)
		read, err := readAt(file, some, at+uint64(len(found)))
		if end := bytes.IndexByte(some[:read], 0); end >= 0 {
			return string(append(found, some[:end]...)), nil
		}
		if err != nil {
			return "", err
		}
		found = append(found, some[:read]...)
	}
	return string(found), nil
}

func readAt(file io.ReaderAt, into []byte, at uint64) (int, error) {
	if int64(at) < 0 {
		return 0, io.EOF
	}
	return file.ReadAt(into, int64(at))
}
