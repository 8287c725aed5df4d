package scrape

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/google/pprof/profile"
)

// compact makes samples of one stack one, and lets go of what no stack is made of. Profile.Compact makes a copy for it,
// and there is no memory for two of the largest profiles.
func compact(p *profile.Profile) {
	key, stacks := keys(maphash.MakeSeed()), map[uint64]*profile.Sample{}
	locations, functions := map[*profile.Location]bool{}, map[*profile.Function]bool{}
	p.Sample = slices.DeleteFunc(p.Sample, func(sample *profile.Sample) bool {
		stack := key(sample)
		if same, ok := stacks[stack]; ok {
			for i, value := range sample.Value {
				same.Value[i] += value
			}
			return true
		}
		stacks[stack] = sample
		for _, location := range sample.Location {
			locations[location] = true
		}
		return false
	})
	p.Location = slices.DeleteFunc(p.Location, func(location *profile.Location) bool { return !locations[location] })
	for _, location := range p.Location {
		for _, line := range location.Line {
			functions[line.Function] = true
		}
	}
	p.Function = slices.DeleteFunc(p.Function, func(function *profile.Function) bool { return !functions[function] })
}

// keys makes keys of the stacks of one profile. Nobody outside knows the seed, so none can make stacks of one key; of
// 50,000 two have one by chance once in ten thousand million profiles.
func keys(seed maphash.Seed) func(*profile.Sample) uint64 {
	functions := map[*profile.Function]uint64{}
	return func(sample *profile.Sample) uint64 {
		var hash maphash.Hash
		hash.SetSeed(seed)
		put := func(value uint64) {
			var number [8]byte
			binary.LittleEndian.PutUint64(number[:], value)
			_, _ = hash.Write(number[:])
		}
		for _, location := range sample.Location {
			if len(location.Line) == 0 {
				put(location.Address)
			}
			// Which inlined calls are one location may differ from profile to profile.
			for _, line := range location.Line {
				name, ok := functions[line.Function]
				if !ok {
					name = maphash.String(seed, line.Function.Name)
					functions[line.Function] = name
				}
				put(name)
				put(uint64(line.Line))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(sample.NumLabel)) { // the size of what was allocated
			_, _ = hash.WriteString(name)
			for _, value := range sample.NumLabel[name] {
				put(uint64(value))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(sample.Label)) {
			_, _ = hash.WriteString(name)
			for _, value := range sample.Label[name] {
				_, _ = hash.WriteString(value)
			}
		}
		return hash.Sum64()
	}
}
