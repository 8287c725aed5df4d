// Package process knows the processes of the node: which there are, in which cgroups, what they have mapped, and what
// of it can be read. All of it comes from pinned BPF objects, not from /proc, which shows only the agent's own.
package process

import (
	"encoding/binary"
	"fmt"
	"io"
)

var order = binary.NativeEndian

// next takes one record off the front of what an iterator printed.
func next(data []byte, record any) ([]byte, error) {
	size, err := binary.Decode(data, order, record)
	if err != nil {
		return nil, fmt.Errorf("a record is cut off after %d bytes: %w", len(data), io.ErrUnexpectedEOF)
	}
	return data[size:], nil
}

// take is that many bytes off the front.
func take(data []byte, size uint32) (taken, rest []byte, err error) {
	if uint64(size) > uint64(len(data)) {
		return nil, nil, fmt.Errorf("a text of %d bytes is cut off after %d: %w", size, len(data), io.ErrUnexpectedEOF)
	}
	return data[:size], data[size:], nil
}

// readAll runs an iterator to its end.
func readAll(iterator io.ReadCloser) ([]byte, error) {
	defer iterator.Close()
	return io.ReadAll(iterator)
}
