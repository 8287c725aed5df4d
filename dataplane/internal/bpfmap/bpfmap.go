// Package bpfmap reads and steers BPF programs through their maps.
package bpfmap

import (
	"errors"
	"maps"

	"github.com/cilium/ebpf"
)

const batch = 1024

// Drain takes all entries out of a hash map. What it took before an error is given to “each“ as well.
func Drain[K, V any](from *ebpf.Map, each func(K, V)) error {
	return read(from.BatchLookupAndDelete, each)
}

// Each reads all entries of a hash map, and leaves them there.
func Each[K, V any](from *ebpf.Map, each func(K, V)) error {
	return read(from.BatchLookup, each)
}

type reading func(cursor *ebpf.MapBatchCursor, keys, values any, options *ebpf.BatchOptions) (int, error)

func read[K, V any](some reading, each func(K, V)) error {
	var (
		cursor ebpf.MapBatchCursor
		keys   = make([]K, batch)
		values = make([]V, batch)
	)
	for {
		read, err := some(&cursor, keys, values, nil)
		for i := range read {
			each(keys[i], values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Sum adds up one counter of all CPUs.
func Sum(from *ebpf.Map, index uint32) (total uint64, err error) {
	var each []uint64
	err = from.Lookup(index, &each)
	for _, number := range each {
		total += number
	}
	return total, err
}

// Mirror keeps a hash map equal to a map of Go, by its differences.
type Mirror[K, V comparable] struct {
	to  *ebpf.Map
	set map[K]V
}

// NewMirror begins with what the map holds.
func NewMirror[K, V comparable](to *ebpf.Map) (*Mirror[K, V], error) {
	m := &Mirror[K, V]{to: to, set: map[K]V{}}
	err := Each(to, func(key K, value V) { m.set[key] = value })
	return m, err
}

// Set makes it so.
func (m *Mirror[K, V]) Set(wanted map[K]V) error {
	for key, value := range wanted {
		if was, ok := m.set[key]; ok && was == value {
			continue
		}
		if err := m.to.Put(key, value); err != nil {
			return err
		}
		m.set[key] = value
	}
	for key := range maps.Clone(m.set) {
		if _, ok := wanted[key]; ok {
			continue
		}
		if err := m.to.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		delete(m.set, key)
	}
	return nil
}
