// Package elfsymbols finds the functions that a library or program exports. Its dynamic symbols are mapped, because the
// loader needs them; all others (.symtab, DWARF) are only in the file, and for a backend's symboliser to find.
//
// The bytes are those of an application: nothing in them is taken for granted.
package elfsymbols

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"flameplane.dev/dataplane/internal/elfimage"
)

const (
	maxDynamic = 1024
	maxSymbols = 1 << 19
	maxName    = 1024
	chunk      = 60 << 10 / elf.Sym64Size * elf.Sym64Size
)

// Table is the functions, by their offset in the file. Names stay where they are.
type Table struct {
	functions []function
	names     uint64 // offset of the table of names
}

type function struct {
	offset uint64
	size   uint32
	name   uint32
}

// Len is the number of functions.
func (t *Table) Len() int { return len(t.functions) }

// tags are what the dynamic section says, as offsets in the file.
type tags map[elf.DynTag]uint64

// Read reads the symbols of an image that is loaded “bias“ away from where its headers say. The loader of glibc writes
// addresses of this process over those of the file: either is understood.
func Read(file io.ReaderAt, image *elfimage.Image, bias uint64) (*Table, error) {
	if image.Dynamic.Filesz == 0 {
		return &Table{}, nil // a static program
	}
	found, err := dynamic(file, image, bias)
	if err != nil {
		return nil, fmt.Errorf("the dynamic section: %w", err)
	}
	symbols, names := found[elf.DT_SYMTAB], found[elf.DT_STRTAB]
	if symbols == 0 || names == 0 {
		return &Table{}, nil
	}
	count, err := count(file, found)
	if err != nil {
		return nil, fmt.Errorf("the number of symbols: %w", err)
	}
	table := &Table{names: names}
	return table, table.read(file, image, symbols, count)
}

func dynamic(file io.ReaderAt, image *elfimage.Image, bias uint64) (tags, error) {
	data := make([]byte, min(image.Dynamic.Filesz, maxDynamic*16)/16*16)
	if err := readAt(file, data, image.Dynamic.Off); err != nil {
		return nil, err
	}
	found := tags{}
	for ; len(data) > 0; data = data[16:] {
		tag, value := elf.DynTag(binary.LittleEndian.Uint64(data)), binary.LittleEndian.Uint64(data[8:])
		switch tag {
		case elf.DT_NULL:
			return found, nil
		case elf.DT_SYMTAB, elf.DT_STRTAB, elf.DT_GNU_HASH, elf.DT_HASH:
			offset, ok := image.Offset(value)
			if !ok {
				offset, ok = image.Offset(value - bias)
			}
			if !ok {
				return nil, fmt.Errorf("%v is at %#x, where nothing is loaded", tag, value)
			}
			found[tag] = offset
		}
	}
	return found, nil
}

// count is how many symbols there are. Nothing says so but the tables by which they are looked up.
func count(file io.ReaderAt, found tags) (uint32, error) {
	var head [4]uint32
	if at := found[elf.DT_HASH]; at != 0 {
		err := words(file, head[:2], at)
		return min(head[1], maxSymbols), err
	}
	at := found[elf.DT_GNU_HASH]
	if at == 0 {
		return 0, nil
	}
	if err := words(file, head[:], at); err != nil {
		return 0, err
	}
	buckets, first, bloom := head[0], head[1], head[2]
	if buckets > maxSymbols || first > maxSymbols || bloom > maxSymbols {
		return 0, errors.New("a hash table beyond all measure")
	}
	starts := make([]uint32, buckets)
	at += 16 + 8*uint64(bloom)
	if err := words(file, starts, at); err != nil || buckets == 0 {
		return 0, err
	}
	last := slices.Max(starts)
	if last < first {
		return first, nil // it exports nothing
	}
	at += 4 * uint64(buckets)
	for ; last < maxSymbols; last++ {
		var hash [1]uint32
		if err := words(file, hash[:], at+4*uint64(last-first)); err != nil {
			return 0, err
		}
		if hash[0]&1 != 0 { // the end of its chain
			return last + 1, nil
		}
	}
	return 0, errors.New("a chain without an end")
}

// Find is where a symbol that the image exports is meant to be loaded, by the table that the loader asks; 0 where there is none.
func Find(file io.ReaderAt, image *elfimage.Image, bias uint64, name string) (uint64, error) {
	found, err := dynamic(file, image, bias)
	if err != nil {
		return 0, err
	}
	symbols, names, at := found[elf.DT_SYMTAB], found[elf.DT_STRTAB], found[elf.DT_GNU_HASH]
	if symbols == 0 || names == 0 || at == 0 {
		return 0, nil
	}
	var head [4]uint32
	if err := words(file, head[:], at); err != nil {
		return 0, err
	}
	buckets, first, bloom := head[0], head[1], head[2]
	if buckets == 0 || buckets > maxSymbols || bloom > maxSymbols {
		return 0, nil
	}
	hash := uint32(5381)
	for _, letter := range []byte(name) {
		hash = hash*33 + uint32(letter)
	}
	at += 16 + 8*uint64(bloom)
	var index, other [1]uint32
	if err := words(file, index[:], at+4*uint64(hash%buckets)); err != nil {
		return 0, err
	}
	at += 4 * uint64(buckets)
	for number := index[0]; number >= first && number != 0 && number < maxSymbols; number++ {
		if err := words(file, other[:], at+4*uint64(number-first)); err != nil {
			return 0, err
		}
		if other[0]|1 == hash|1 {
			address, err := named(file, symbols+uint64(number)*elf.Sym64Size, names, name)
			if err != nil || address != 0 {
				return address, err
			}
		}
		if other[0]&1 != 0 { // the end of its chain
			break
		}
	}
	return 0, nil
}

// named is the address of a symbol if that is its name.
func named(file io.ReaderAt, at, names uint64, name string) (uint64, error) {
	data, text := make([]byte, elf.Sym64Size), make([]byte, len(name)+1)
	if err := readAt(file, data, at); err != nil {
		return 0, err
	}
	var symbol elf.Sym64
	if _, err := binary.Decode(data, binary.LittleEndian, &symbol); err != nil {
		return 0, err
	}
	if symbol.Shndx == uint16(elf.SHN_UNDEF) {
		return 0, nil
	}
	if err := readAt(file, text, names+uint64(symbol.Name)); err != nil || string(text) != name+"\x00" {
		return 0, err
	}
	return symbol.Value, nil
}

func (t *Table) read(file io.ReaderAt, image *elfimage.Image, at uint64, count uint32) error {
	end := at + uint64(count)*elf.Sym64Size
	for ; at < end; at += chunk {
		data := make([]byte, min(chunk, end-at))
		if err := readAt(file, data, at); err != nil {
			return fmt.Errorf("symbols: %w", err)
		}
		for ; len(data) >= elf.Sym64Size; data = data[elf.Sym64Size:] {
			var symbol elf.Sym64
			if _, err := binary.Decode(data, binary.LittleEndian, &symbol); err != nil {
				return err
			}
			kind := elf.ST_TYPE(symbol.Info)
			if kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC || symbol.Shndx == uint16(elf.SHN_UNDEF) ||
				symbol.Size == 0 || symbol.Size > 1<<31 {
				continue
			}
			if offset, ok := image.Offset(symbol.Value); ok {
				t.functions = append(t.functions, function{offset, uint32(symbol.Size), symbol.Name})
			}
		}
	}
	slices.SortStableFunc(t.functions, func(a, b function) int { return cmp.Compare(a.offset, b.offset) })
	return nil
}

// Lookup is the exported function that holds an offset of the file; empty where there is none. What lies between two
// exported functions is neither's.
func (t *Table) Lookup(file io.ReaderAt, offset uint64) (string, error) {
	index, _ := slices.BinarySearchFunc(t.functions, offset, func(f function, at uint64) int {
		if f.offset <= at {
			return -1
		}
		return 1
	})
	if index == 0 {
		return "", nil
	}
	found := t.functions[index-1]
	for index > 1 && t.functions[index-2].offset == found.offset { // the first of several names
		index--
		found = t.functions[index-1]
	}
	if offset-found.offset >= uint64(found.size) {
		return "", nil
	}
	name := make([]byte, 0, 64)
	for len(name) < maxName {
		var some [64]byte
		read, err := file.ReadAt(some[:], int64(t.names+uint64(found.name)+uint64(len(name))))
		if end := bytes.IndexByte(some[:read], 0); end >= 0 {
			return string(append(name, some[:end]...)), nil
		}
		if err != nil {
			return "", err
		}
		name = append(name, some[:read]...)
	}
	return string(name), nil
}

func words(file io.ReaderAt, into []uint32, at uint64) error {
	data := make([]byte, 4*len(into))
	if err := readAt(file, data, at); err != nil {
		return err
	}
	_, err := binary.Decode(data, binary.LittleEndian, into)
	return err
}

func readAt(file io.ReaderAt, into []byte, at uint64) error {
	if int64(at) < 0 {
		return io.EOF
	}
	read, err := file.ReadAt(into, int64(at))
	if read == len(into) {
		return nil
	}
	return errors.Join(err, io.ErrUnexpectedEOF)
}
