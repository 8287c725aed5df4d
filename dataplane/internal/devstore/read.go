package devstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"
)

const readAtOnce = 32 // bodies of one transaction: a long one keeps deleted pages from being used again

// each reads the profiles of a selection one after the other, so that a query holds no more than one of them.
func (s *Store) each(ctx context.Context, one *selection, see func(read *googlev1.Profile, number int)) error {
	select {
	case s.merges <- struct{}{}:
		defer func() { <-s.merges }()
	case <-ctx.Done():
		return ctx.Err()
	}
	places, err := s.places(one)
	if err != nil {
		return internal(err)
	}
	reader := readers.Get().(*zstd.Decoder)
	defer readers.Put(reader)
	var raw []byte
	for some := range slices.Chunk(places, readAtOnce) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bodies, err := s.bodies(one, some)
		if err != nil {
			return internal(err)
		}
		for i, body := range bodies {
			if body == nil { // it expired meanwhile, or is another one than asked for
				continue
			}
			if raw, err = reader.DecodeAll(body, raw[:0]); err != nil {
				return internal(errors.Join(errTorn, err))
			}
			read := new(googlev1.Profile)
			if err := read.UnmarshalVT(raw); err != nil {
				return internal(errors.Join(errTorn, err))
			}
			one.narrow(read)
			see(read, some[i].number)
		}
	}
	return nil
}

var readers = sync.Pool{New: func() any {
	reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return reader
}}

func (s *Store) bodies(one *selection, places []stored) ([][]byte, error) {
	found := make([][]byte, len(places))
	return found, s.db.View(func(tx *bolt.Tx) error {
		_, _, bodies := open(tx, one.tenant)
		for i, each := range places {
			value := bodies.Get(each.at[:])
			if value == nil {
				continue
			}
			id, _, body, err := unpackHead(value)
			if err != nil {
				return err
			}
			if one.ids == nil || one.ids[id] {
				found[i] = slices.Clone(body) // it is the file's, until the transaction ends
			}
		}
		return nil
	})
}

// narrow leaves the samples of the call site, the spans or the traces that are asked for.
func (one *selection) narrow(read *googlev1.Profile) {
	if len(one.callSite) > 0 {
		read.Sample = slices.DeleteFunc(read.Sample, func(sample *googlev1.Sample) bool { return !one.begins(read, sample) })
	}
	name, wanted := spanLabel, one.spans
	if one.traces != nil {
		name, wanted = traceLabel, one.traces
	}
	if wanted == nil {
		return
	}
	read.Sample = slices.DeleteFunc(read.Sample, func(sample *googlev1.Sample) bool {
		return !slices.ContainsFunc(sample.Label, func(label *googlev1.Label) bool {
			return read.StringTable[label.Key] == name && wanted[strings.ToLower(read.StringTable[label.Str])]
		})
	})
}

func (one *selection) begins(read *googlev1.Profile, sample *googlev1.Sample) bool {
	rest := one.callSite
	for _, id := range slices.Backward(sample.LocationId) {
		for _, line := range slices.Backward(read.Location[id-1].Line) {
			if len(rest) == 0 {
				return true
			}
			if read.StringTable[read.Function[line.FunctionId-1].Name] != rest[0] {
				return false
			}
			rest = rest[1:]
		}
	}
	return len(rest) == 0
}

func internal(err error) error { return connect.NewError(connect.CodeInternal, err) }
