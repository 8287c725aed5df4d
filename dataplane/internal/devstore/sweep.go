package devstore

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	sweptAtOnce = 256 // profiles of one transaction: pushes wait no longer than for these
)

// Sweep deletes what is older than its tenant keeps, and says how many profiles that were. The file does not shrink:
// later profiles are written where the deleted ones were.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, tenant := range s.tenants() {
		keeps := time.Duration(s.limits.of(tenant).RetentionPeriod)
		if keeps == 0 {
			continue
		}
		before := s.options.Now().Add(-keeps).UnixNano()
		for ctx.Err() == nil {
			count, err := s.expire(tenant, before)
			if err != nil {
				return total, err
			}
			total += count
			s.metrics.swept.Add(float64(count))
			if count < sweptAtOnce {
				break
			}
		}
	}
	return total, ctx.Err()
}

func (s *Store) tenants() []string {
	var found []string
	_ = s.db.View(func(tx *bolt.Tx) error {
		cursor := tx.Cursor()
		for key, _ := cursor.Seek(tenantPrefix); bytes.HasPrefix(key, tenantPrefix); key, _ = cursor.Next() {
			found = append(found, string(key[len(tenantPrefix):]))
		}
		return nil
	})
	return found
}

// expire deletes up to sweptAtOnce profiles older than a time, and the series that have none left.
func (s *Store) expire(tenant string, before int64) (count int, err error) {
	if !s.any(tenant, before) { // a transaction that writes nothing would be synced all the same
		return 0, nil
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		count = 0
		series, index, bodies := open(tx, tenant)
		var gone []place
		touched := map[seriesID]bool{}
		err := within(bodies, nil, 0, before-1, func(key, value []byte) (bool, error) {
			_, ids, _, err := unpackHead(value)
			if err != nil {
				return false, err
			}
			at := place(key)
			for _, id := range ids {
				if err := index.Delete(append(id[:], at[:]...)); err != nil {
					return false, err
				}
				touched[id] = true
			}
			gone = append(gone, at)
			return len(gone) < sweptAtOnce, nil
		})
		if err != nil {
			return err
		}
		for _, at := range gone { // a cursor does not go on well under a deletion
			if err := bodies.Delete(at[:]); err != nil {
				return err
			}
		}
		for id := range touched {
			if key, _ := index.Cursor().Seek(id[:]); bytes.HasPrefix(key, id[:]) {
				continue
			}
			if err := series.Delete(id[:]); err != nil {
				return err
			}
		}
		count = len(gone)
		return nil
	})
	return count, err
}

func (s *Store) any(tenant string, before int64) (found bool) {
	_ = s.db.View(func(tx *bolt.Tx) error {
		_, _, bodies := open(tx, tenant)
		if bodies == nil {
			return nil
		}
		key, _ := bodies.Cursor().First()
		found = key != nil && place(key).nanos() < before
		return nil
	})
	return found
}

// open returns the buckets of a tenant: nil where nothing was ever pushed.
func open(tx *bolt.Tx, tenant string) (series, index, bodies *bolt.Bucket) {
	root := tx.Bucket(append(tenantPrefix[:len(tenantPrefix):len(tenantPrefix)], tenant...))
	if root == nil {
		return nil, nil, nil
	}
	return root.Bucket(seriesBucket), root.Bucket(indexBucket), root.Bucket(bodiesBucket)
}
