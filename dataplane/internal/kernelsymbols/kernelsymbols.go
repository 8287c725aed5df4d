// Package kernelsymbols names the kernel's functions. /proc/kallsyms would show zeros to the agent.
package kernelsymbols

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

const maxName = 512

// Table holds all functions: some 70,000, in three blocks of memory rather than in as many strings.
type Table struct {
	addresses []uint64
	places    []uint32 // of the names, by address
	names     []byte   // each ended by 0
}

// Read reads the pinned iterator.
func Read(opened *pins.Pins) (*Table, error) {
	iterator, err := opened.Iterator(bpf.ListSymbols)
	if err != nil {
		return nil, err
	}
	defer iterator.Close()
	table, err := parse(iterator)
	if err != nil {
		return nil, fmt.Errorf("read the kernel's symbols: %w", err)
	}
	return table, nil
}

func parse(from io.Reader) (*Table, error) {
	input := bufio.NewReaderSize(from, 64<<10)
	table := &Table{}
	type entry struct {
		address uint64
		place   uint32
	}
	var entries []entry
	for {
		var symbol bpf.Symbol
		err := binary.Read(input, binary.NativeEndian, &symbol)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if symbol.Size < 2 || symbol.Size > maxName {
			return nil, fmt.Errorf("a name of %d bytes", symbol.Size)
		}
		place := len(table.names)
		table.names = append(table.names, make([]byte, symbol.Size)...)
		if _, err := io.ReadFull(input, table.names[place:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		table.names[len(table.names)-1] = 0
		entries = append(entries, entry{symbol.Address, uint32(place)})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.address < b.address {
			return -1
		}
		if a.address > b.address {
			return 1
		}
		return 0
	})
	for _, each := range entries {
		table.addresses = append(table.addresses, each.address)
		table.places = append(table.places, each.place)
	}
	return table, nil
}

// Len is the number of functions.
func (t *Table) Len() int { return len(t.addresses) }

// Name is the function that an address lies in; false before the first.
func (t *Table) Name(address uint64) (string, bool) {
	index, exact := slices.BinarySearch(t.addresses, address)
	if !exact {
		index--
	}
	if index < 0 {
		return "", false
	}
	name := t.names[t.places[index]:]
	return string(name[:slices.Index(name, 0)]), true
}
