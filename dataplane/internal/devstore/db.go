package devstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/prometheus/prometheus/model/labels"
	bolt "go.etcd.io/bbolt"
)

// One bucket per tenant, and in it three:
//
//	series: id -> labels           id: the first 16 bytes of the labels' SHA-256
//	index:  id, time, number -> column of the body, its total
//	bodies: time, number -> uuid, ids of its series, the profile (pprof, zstd)
//
// Totals over time come from the index alone. What is expired is the beginning of bodies.
var (
	seriesBucket = []byte("series")
	indexBucket  = []byte("index")
	bodiesBucket = []byte("bodies")
	tenantPrefix = []byte("tenant/")
	formatBucket = []byte("format")
	formatKey    = []byte("version")
)

const (
	format     = "1"
	bodiesFill = 0.9 // they come nearly in order
)

type seriesID [16]byte

// place of a stored profile, unique within its tenant, in order of time.
type place [16]byte

func placed(nanos int64, number uint64) (p place) {
	binary.BigEndian.PutUint64(p[:8], uint64(nanos))
	binary.BigEndian.PutUint64(p[8:], number)
	return p
}

func (p place) nanos() int64 { return int64(binary.BigEndian.Uint64(p[:8])) }

// record is one profile of one set of labels, with a series for each type of its samples.
type record struct {
	nanos    int64
	id       uuid.UUID
	series   []column
	body     []byte
	unpacked int // bytes of the body before it was compressed
}

// column of a profile's values.
type column struct {
	labels labels.Labels
	number int
	total  int64
}

func checkFormat(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(formatBucket)
		if err != nil {
			return err
		}
		switch found := string(bucket.Get(formatKey)); found {
		case format:
			return nil
		case "":
			return bucket.Put(formatKey, []byte(format))
		default:
			return fmt.Errorf("it is written in format %q; this devstore reads %q: name another folder, or delete it", found, format)
		}
	})
}

// commit puts records on disk, all or none. It returns once they are synced; who commits at the same moment shares one
// sync.
func (s *Store) commit(tenant string, records []record) error {
	return s.db.Batch(func(tx *bolt.Tx) error {
		root, err := tx.CreateBucketIfNotExists(append(tenantPrefix[:len(tenantPrefix):len(tenantPrefix)], tenant...))
		if err != nil {
			return err
		}
		var buckets [3]*bolt.Bucket
		for i, name := range [][]byte{seriesBucket, indexBucket, bodiesBucket} {
			if buckets[i], err = root.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		buckets[2].FillPercent = bodiesFill
		for i := range records {
			if err := put(buckets[0], buckets[1], buckets[2], &records[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func put(series, index, bodies *bolt.Bucket, one *record) error {
	number, err := bodies.NextSequence()
	if err != nil {
		return err
	}
	at := placed(one.nanos, number)
	head := binary.AppendUvarint(one.id[:len(one.id):len(one.id)], uint64(len(one.series)))
	for _, each := range one.series {
		text := packLabels(each.labels)
		sum := sha256.Sum256(text)
		id := seriesID(sum[:16])
		if series.Get(id[:]) == nil {
			if err := series.Put(id[:], text); err != nil {
				return err
			}
		}
		value := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(each.number)), uint64(each.total))
		if err := index.Put(append(id[:], at[:]...), value); err != nil {
			return err
		}
		head = append(head, id[:]...)
	}
	return bodies.Put(at[:], append(head, one.body...))
}

var errTorn = errors.New("a stored profile cannot be read")

// unpackHead takes what stands before a profile's body off.
func unpackHead(value []byte) (id uuid.UUID, series []seriesID, body []byte, err error) {
	if len(value) < len(id) {
		return id, nil, nil, errTorn
	}
	copy(id[:], value)
	count, size := binary.Uvarint(value[len(id):])
	rest := value[len(id)+max(size, 0):]
	if size <= 0 || count > uint64(len(rest)/16) {
		return id, nil, nil, errTorn
	}
	for range count {
		series = append(series, seriesID(rest[:16]))
		rest = rest[16:]
	}
	return id, series, rest, nil
}

func unpackIndex(value []byte) (number int, total int64, err error) {
	first, size := binary.Uvarint(value)
	if size <= 0 {
		return 0, 0, errTorn
	}
	second, more := binary.Uvarint(value[size:])
	if more <= 0 {
		return 0, 0, errTorn
	}
	return int(first), int64(second), nil
}

func packLabels(set labels.Labels) []byte {
	var text []byte
	set.Range(func(one labels.Label) {
		for _, part := range []string{one.Name, one.Value} {
			text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
		}
	})
	return text
}

func unpackLabels(text []byte) (labels.Labels, error) {
	var parts []string
	for len(text) > 0 {
		length, size := binary.Uvarint(text)
		if size <= 0 || length > uint64(len(text)-size) {
			return labels.EmptyLabels(), errTorn
		}
		parts = append(parts, string(text[size:size+int(length)]))
		text = text[size+int(length):]
	}
	if len(parts)%2 != 0 {
		return labels.EmptyLabels(), errTorn
	}
	return labels.FromStrings(parts...), nil
}

// within calls “see“ for each key of a bucket that begins with a prefix and goes on with a time from one to another,
// both included, until it says no.
func within(bucket *bolt.Bucket, prefix []byte, from, to int64, see func(key, value []byte) (more bool, err error)) error {
	first := binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), uint64(max(from, 0)))
	last := binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), uint64(max(to, 0)))
	cursor := bucket.Cursor()
	for key, value := cursor.Seek(first); key != nil; key, value = cursor.Next() {
		if len(key) < len(last) || bytes.Compare(key[:len(last)], last) > 0 {
			return nil
		}
		if more, err := see(key, value); !more || err != nil {
			return err
		}
	}
	return nil
}
