// Package elfimage reads what the mapped part of an ELF file says about it: its build id and its segments.
//
// debug/elf wants section headers, which are not mapped. The bytes are those of an application: nothing in them is
// taken for granted.
package elfimage

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	maxHeaders = 128
	maxNotes   = 64 << 10

	noteGNU = 3 // NT_GNU_BUILD_ID, of owner GNU
	noteGo  = 4 // of owner Go
)

var page = uint64(os.Getpagesize())

// Image is an ELF file as its headers describe it.
type Image struct {
	BuildID string // GNU's in hex, else Go's as it is, else empty
	Go      bool   // it has Go's note: its program was linked by Go
	Entry   uint64
	Loads   []elf.ProgHeader
	Dynamic elf.ProgHeader // empty in a static program
}

// Read reads an image by offsets of its file. What is not mapped there, notes as well, is left out.
func Read(file io.ReaderAt) (*Image, error) {
	var ident [elf.EI_NIDENT]byte
	if _, err := file.ReadAt(ident[:], 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(ident[:], []byte(elf.ELFMAG)) {
		return nil, errors.New("no ELF file")
	}
	if ident[elf.EI_CLASS] != byte(elf.ELFCLASS64) || ident[elf.EI_DATA] != byte(elf.ELFDATA2LSB) {
		return nil, errors.New("no 64-bit little-endian ELF file")
	}
	var header elf.Header64
	if err := decode(file, 0, &header); err != nil {
		return nil, err
	}
	if header.Phnum > maxHeaders || header.Phnum > 0 && header.Phentsize != 56 {
		return nil, fmt.Errorf("%d program headers of %d bytes", header.Phnum, header.Phentsize)
	}
	segments := make([]elf.Prog64, header.Phnum)
	if err := decode(file, header.Phoff, segments); err != nil {
		return nil, err
	}
	image := &Image{Entry: header.Entry}
	for _, s := range segments {
		switch elf.ProgType(s.Type) {
		case elf.PT_LOAD:
			image.Loads = append(image.Loads, segment(s))
		case elf.PT_DYNAMIC:
			image.Dynamic = segment(s)
		case elf.PT_NOTE:
			notes := make([]byte, min(s.Filesz, maxNotes))
			if _, err := read(file, notes, s.Off); err == nil {
				image.notes(notes)
			}
		}
	}
	return image, nil
}

func segment(s elf.Prog64) elf.ProgHeader {
	return elf.ProgHeader{
		Type: elf.ProgType(s.Type), Flags: elf.ProgFlag(s.Flags), Off: s.Off, Vaddr: s.Vaddr, Filesz: s.Filesz, Memsz: s.Memsz,
	}
}

// Bias is how far an image is loaded from where its headers say, by an executable mapping of it. Mappings begin with a
// page, segments need not (lld's do not): the first bytes of a mapping may be another segment's in the file.
func (i *Image) Bias(start, offset uint64) (uint64, bool) {
	var other *elf.ProgHeader
	for n := range i.Loads {
		s := &i.Loads[n]
		if s.Off&^(page-1) > offset || offset >= s.Off+s.Filesz {
			continue
		}
		if s.Flags&elf.PF_X != 0 {
			return start - offset + s.Off - s.Vaddr, true
		}
		if s.Off <= offset {
			other = s
		}
	}
	if other == nil {
		return 0, false
	}
	return start - offset + other.Off - other.Vaddr, true
}

// Offset is where an address is in the file; false where no segment holds it.
func (i *Image) Offset(address uint64) (uint64, bool) {
	for _, s := range i.Loads {
		if s.Vaddr <= address && address-s.Vaddr < s.Filesz {
			return s.Off + address - s.Vaddr, true
		}
	}
	return 0, false
}

func (i *Image) notes(data []byte) {
	for len(data) >= 12 {
		var head struct{ Name, Desc, Type uint32 }
		if _, err := binary.Decode(data, binary.LittleEndian, &head); err != nil {
			return
		}
		data = data[12:]
		owner, rest, ok := cut(data, head.Name)
		if !ok {
			return
		}
		text, rest, ok := cut(rest, head.Desc)
		if !ok {
			return
		}
		data = rest
		switch {
		case string(owner) == "GNU\x00" && head.Type == noteGNU && len(text) > 0:
			i.BuildID = hex.EncodeToString(text)
		case string(owner) == "Go\x00\x00" && head.Type == noteGo && len(text) > 0:
			i.Go = true
			if i.BuildID == "" {
				i.BuildID = string(text)
			}
		}
	}
}

// cut takes a field, which is padded to four bytes.
func cut(data []byte, size uint32) (field, rest []byte, ok bool) {
	padded := (uint64(size) + 3) &^ 3
	if padded > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:size], data[padded:], true
}

func decode(file io.ReaderAt, offset uint64, into any) error {
	data := make([]byte, binary.Size(into))
	if _, err := read(file, data, offset); err != nil {
		return err
	}
	_, err := binary.Decode(data, binary.LittleEndian, into)
	return err
}

func read(file io.ReaderAt, into []byte, offset uint64) (int, error) {
	if int64(offset) < 0 {
		return 0, fmt.Errorf("offset %#x: %w", offset, io.EOF)
	}
	return file.ReadAt(into, int64(offset))
}
