// Package forged makes recordings that somebody could write to use up the memory or the time of whoever reads them, for
// tests: a real one with more behind it.
package forged

import (
	"bytes"
	"encoding/binary"

	"github.com/grafana/jfr-parser/parser"
)

// Recording is one that is being forged.
type Recording struct {
	Text []byte
	read *parser.Parser // of the real one, up to its first sample
}

// Where the header of a recording says its length, and where its constants are.
const sizeAt, constantsAt = 8, 16

// From begins with a real recording, unpacked.
func From(events []byte) (*Recording, error) {
	r := &Recording{bytes.Clone(events), parser.NewParser(events, parser.Options{})}
	for {
		kind, err := r.read.ParseEvent()
		if err != nil {
			return nil, err
		}
		if kind == r.read.TypeMap.T_EXECUTION_SAMPLE {
			return r, nil
		}
	}
}

// Names adds that many empty ones.
func (r *Recording) Names(count int) { r.constants("jdk.types.Symbol", count, 0) }

// Samples adds samples of CPU time, each with a stack of its own.
func (r *Recording) Samples(count int) {
	method := binary.AppendUvarint(nil, uint64(r.read.Stacktrace.StackTrace[0].Frames[0].Method))
	stack := append(append([]byte{0, 1}, method...), 1, 1, 1) // not cut off; one frame: method, line, instruction, kind
	r.constants("jdk.types.StackTrace", count, stack...)
	kind := binary.AppendUvarint(nil, uint64(r.read.TypeMap.T_EXECUTION_SAMPLE))
	for id := range uint64(count) {
		sample := binary.AppendUvarint(append(bytes.Clone(kind), 1, 1), id+1) // time, thread, stack
		r.add(binary.AppendUvarint(sample, uint64(r.read.ExecutionSample.State)))
	}
}

// Circle adds two lists of constants, each of which says that the other is the next.
func (r *Recording) Circle() {
	first := r.add(checkpoint(0, 0))
	second := r.add(checkpoint(int64(first-len(r.Text)), 0))
	again := checkpoint(int64(second-first), 0)
	copy(r.Text[second-len(again):], again) // of the same length as the one that it replaces
	binary.BigEndian.PutUint64(r.Text[constantsAt:], uint64(second))
}

// constants adds constants of a type, which are read before all others.
func (r *Recording) constants(of string, count int, each ...byte) {
	before := int64(binary.BigEndian.Uint64(r.Text[constantsAt:]))
	body := checkpoint(before-int64(len(r.Text)), 1)
	body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(r.read.TypeMap.NameMap[of].ID)), uint64(count))
	for id := range uint64(count) {
		body = append(binary.AppendUvarint(body, id+1), each...)
	}
	at := r.add(body)
	binary.BigEndian.PutUint64(r.Text[constantsAt:], uint64(at))
}

// add puts an event behind the others, and is where it begins.
func (r *Recording) add(body []byte) int {
	at := len(r.Text)
	r.Text = append(append(r.Text, wide(int64(len(body)+widest))...), body...) // the length is part of it
	binary.BigEndian.PutUint64(r.Text[sizeAt:], uint64(len(r.Text)))
	return at
}

func checkpoint(next int64, types byte) []byte {
	return append(append([]byte{1, 1, 1}, wide(next)...), 0, types) // kind, time, duration
}

const widest = 9

// wide is a number in as many bytes as any takes.
func wide(value int64) []byte {
	var out []byte
	for range widest - 1 {
		out = append(out, byte(value)|0x80)
		value >>= 7
	}
	return append(out, byte(value))
}
