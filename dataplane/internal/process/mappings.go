package process

import (
	"errors"
	"fmt"
	"slices"
	"unique"

	"github.com/cilium/ebpf"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

// askedAtOnce is how many processes one reading is for; the map holds 1024.
const askedAtOnce = 512

// File is what a mapping is of. The zero value is memory without a file.
type File struct {
	Device uint32
	Inode  uint64
}

// Mapping is a piece of a process's memory that is executable, or that of a file which cannot be written to.
type Mapping struct {
	Start, End uint64
	Offset     uint64 // of Start in the file
	File       File
	Path       string // empty where it is too long to be told
	Flags      uint32
}

// Executable is whether code runs there.
func (m Mapping) Executable() bool { return m.Flags&bpf.Exec != 0 }

// Readable is whether its memory can be asked for.
func (m Mapping) Readable() bool { return m.File != File{} && m.Flags&(bpf.Write|bpf.Shared) == 0 }

// Space is what a process has mapped, by address.
type Space []Mapping

// At is the executable mapping of an address.
func (s Space) At(address uint64) (Mapping, bool) {
	index, ok := slices.BinarySearchFunc(s, address, func(m Mapping, a uint64) int {
		switch {
		case m.End <= a:
			return -1
		case m.Start > a:
			return 1
		}
		return 0
	})
	if !ok || !s[index].Executable() {
		return Mapping{}, false
	}
	return s[index], true
}

// Of are the mappings of one file.
func (s Space) Of(file File) []Mapping {
	var found []Mapping
	for _, each := range s {
		if each.File == file {
			found = append(found, each)
		}
	}
	return found
}

// Spaces asks for the mappings of processes. One that has ended, or whose number is another's by now, has none.
func Spaces(opened *pins.Pins, wanted []ID) (map[ID]Space, error) {
	found := map[ID]Space{}
	for some := range slices.Chunk(wanted, askedAtOnce) {
		if err := ask(opened, some, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func ask(opened *pins.Pins, some []ID, found map[ID]Space) error {
	list := opened.Maps[bpf.Wanted]
	if err := forget(list); err != nil {
		return fmt.Errorf("ask for mappings: %w", err)
	}
	for _, id := range some {
		if err := list.Put(id.Tgid, uint32(1)); err != nil {
			return fmt.Errorf("ask for the mappings of process %d: %w", id.Tgid, err)
		}
	}
	iterator, err := opened.Iterator(bpf.ListMappings)
	if err != nil {
		return err
	}
	data, err := readAll(iterator)
	if err != nil {
		return fmt.Errorf("list the mappings: %w", err)
	}
	listed, err := parseMappings(data)
	for _, id := range some {
		if space, ok := listed[id]; ok {
			found[id] = space
		}
	}
	return err
}

func forget(list *ebpf.Map) error {
	var keys []uint32
	var key, value uint32
	entries := list.Iterate()
	for entries.Next(&key, &value) {
		keys = append(keys, key)
	}
	for _, key := range keys {
		if err := list.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return entries.Err()
}

func parseMappings(data []byte) (map[ID]Space, error) {
	found := map[ID]Space{}
	var path string
	for len(data) > 0 {
		var record bpf.Mapping
		var text []byte
		var err error
		if data, err = next(data, &record); err == nil {
			text, data, err = take(data, record.Path)
		}
		if err != nil {
			return nil, err
		}
		id := ID{record.Tgid, record.Born, record.Program}
		if record.Flags&bpf.SameFile == 0 || len(found[id]) == 0 {
			path = unique.Make(Text(text)).Value() // most processes map the same libraries
		}
		mapping := Mapping{
			Start: record.Start, End: record.End, Offset: record.Offset, Path: path,
			File: File{record.Device, record.Inode}, Flags: record.Flags &^ bpf.SameFile,
		}
		found[id] = append(found[id], mapping)
	}
	return found, nil
}
