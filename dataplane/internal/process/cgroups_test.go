package process

import (
	"reflect"
	"testing"

	"flameplane.dev/dataplane/bpf"
)

func named(parent uint64, name string) bpf.Named {
	found := bpf.Named{Parent: parent}
	copy(found.Name[:], name)
	return found
}

func TestPlacesOfCgroupsThatWereMet(t *testing.T) {
	all := map[uint64]bpf.Named{
		63: named(cgroupRoot, "kubepods.slice"), 64: named(63, "cri-1.scope"),
		70: named(69, "its parent was evicted"), 80: named(81, "a"), 81: named(80, "circle"),
	}
	got, ok := placeOf(64, all)
	want := []Cgroup{{ID: 63, Path: "/kubepods.slice"}, {ID: 64, Path: "/kubepods.slice/cri-1.scope"}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got, ok := placeOf(cgroupRoot, all); !ok || len(got) != 0 {
		t.Errorf("the root lies at %+v", got)
	}
	for _, id := range []uint64{70, 80, 99} {
		if got, ok := placeOf(id, all); ok {
			t.Errorf("%d lies at %+v", id, got)
		}
	}
}

func FuzzPlacesOfCgroups(f *testing.F) {
	f.Add(printed(f, uint64(63), named(cgroupRoot, "kubepods.slice"), uint64(64), named(63, "a"), uint64(65), named(66, "b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := map[uint64]bpf.Named{}
		for {
			var id uint64
			var record bpf.Named
			rest, err := next(data, &id)
			if err == nil {
				data, err = next(rest, &record)
			}
			if err != nil {
				break
			}
			all[id] = record
		}
		for id := range all {
			if found, ok := placeOf(id, all); ok && id != cgroupRoot && found[len(found)-1].ID != id {
				t.Errorf("%d lies at %+v", id, found)
			}
		}
	})
}
