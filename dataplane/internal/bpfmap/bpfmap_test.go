package bpfmap

import (
	"errors"
	"maps"
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

const many = 3*batch + 7 // entries: more than one reading takes, and no whole number of them

// made is a map of the kernel.
func made(t *testing.T, kind ebpf.MapType, keySize, entries uint32) *ebpf.Map {
	t.Helper()
	created, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: keySize, ValueSize: 8, MaxEntries: entries})
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("NOT RUN: BPF maps cannot be made here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { created.Close() })
	return created
}

// filled has these entries besides.
func filled(t *testing.T, entries map[uint64]uint64) *ebpf.Map {
	t.Helper()
	hash := made(t, ebpf.Hash, 8, 2*many)
	for key, value := range entries {
		if err := hash.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return hash
}

func numbered(count uint64) map[uint64]uint64 {
	entries := map[uint64]uint64{}
	for key := range count {
		entries[key] = key * key
	}
	return entries
}

// gather is for Drain and Each: none of them may give an entry twice.
func gather(t *testing.T, into map[uint64]uint64) func(uint64, uint64) {
	return func(key, value uint64) {
		if _, twice := into[key]; twice {
			t.Errorf("entry %d came twice", key)
		}
		into[key] = value
	}
}

func holds(t *testing.T, hash *ebpf.Map, want map[uint64]uint64) {
	t.Helper()
	found := map[uint64]uint64{}
	if err := Each(hash, gather(t, found)); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(found, want) {
		t.Errorf("it holds %d entries, not these %d: %v", len(found), len(want), found)
	}
}

// some reads from a kernel that has these numbers of entries in turn, and then says “last“.
func some(counts []int, last error) reading {
	next := uint64(0)
	return func(_ *ebpf.MapBatchCursor, keys, values any, _ *ebpf.BatchOptions) (int, error) {
		count := counts[0]
		for i := range count {
			keys.([]uint64)[i], values.([]uint64)[i] = next, next*next
			next++
		}
		if counts = counts[1:]; len(counts) == 0 {
			return count, last
		}
		return count, nil
	}
}

func TestReadsToTheEnd(t *testing.T) {
	broken := errors.New("broken")
	for _, each := range []struct {
		counts     []int
		says, want error
	}{
		{[]int{0}, ebpf.ErrKeyNotExist, nil},
		{[]int{batch}, ebpf.ErrKeyNotExist, nil},
		{[]int{batch, 3, batch, 7}, ebpf.ErrKeyNotExist, nil},
		{[]int{batch, 5}, broken, broken}, // what came with the error is taken out of the kernel
	} {
		total, found := uint64(0), map[uint64]uint64{}
		for _, count := range each.counts {
			total += uint64(count)
		}
		if err := read(some(each.counts, each.says), gather(t, found)); err != each.want {
			t.Errorf("%v: %v", each.counts, err)
		}
		if !maps.Equal(found, numbered(total)) {
			t.Errorf("%v: %d entries of %d", each.counts, len(found), total)
		}
	}
}

func TestDrainTakesAll(t *testing.T) {
	for _, count := range []uint64{0, 1, batch, many} {
		hash, found := filled(t, numbered(count)), map[uint64]uint64{}
		if err := Drain(hash, gather(t, found)); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(found, numbered(count)) {
			t.Errorf("%d entries of %d", len(found), count)
		}
		holds(t, hash, nil)
	}
}

func TestEachLeavesAll(t *testing.T) {
	hash := filled(t, numbered(many))
	holds(t, hash, numbered(many))
	holds(t, hash, numbered(many))
}

func TestSumsOverTheCPUs(t *testing.T) {
	counters := made(t, ebpf.PerCPUArray, 4, 2)
	each, want := make([]uint64, ebpf.MustPossibleCPU()), uint64(0)
	for cpu := range each {
		each[cpu] = 10 + uint64(cpu)
		want += each[cpu]
	}
	if err := counters.Put(uint32(1), each); err != nil {
		t.Fatal(err)
	}
	for index, want := range []uint64{0, want} {
		if total, err := Sum(counters, uint32(index)); err != nil || total != want {
			t.Errorf("counter %d: %d, not %d: %v", index, total, want, err)
		}
	}
	if _, err := Sum(counters, 2); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("a counter that is not there: %v", err)
	}
}

func mirror(t *testing.T, hash *ebpf.Map) func(map[uint64]uint64) {
	t.Helper()
	m, err := NewMirror[uint64, uint64](hash)
	if err != nil {
		t.Fatal(err)
	}
	return func(wanted map[uint64]uint64) {
		t.Helper()
		if err := m.Set(wanted); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMirrorBeginsWithWhatIsThere(t *testing.T) {
	hash := filled(t, numbered(many))
	set := mirror(t, hash)
	wanted := map[uint64]uint64{2: 4, 3: 1, many: 5} // as it is, another value, a new key
	set(wanted)
	holds(t, hash, wanted)
	set(nil)
	holds(t, hash, nil)
}

func TestAMirrorWritesDifferencesAlone(t *testing.T) {
	hash := filled(t, nil)
	set := mirror(t, hash)
	set(map[uint64]uint64{1: 1, 2: 2, 3: 3})
	if err := errors.Join(hash.Put(uint64(1), uint64(9)), hash.Delete(uint64(3))); err != nil {
		t.Fatal(err)
	}
	set(map[uint64]uint64{1: 1, 2: 4}) // 3 is gone already
	holds(t, hash, map[uint64]uint64{1: 9, 2: 4})
}

func TestAMirrorGoesOnAfterAnError(t *testing.T) {
	hash := made(t, ebpf.Hash, 8, 4)
	m, err := NewMirror[uint64, uint64](hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Set(numbered(5)); err == nil {
		t.Error("5 entries fit into 4")
	}
	for _, count := range []uint64{0, 4} {
		if err := m.Set(numbered(count)); err != nil {
			t.Error(err)
		}
		holds(t, hash, numbered(count))
	}
}
