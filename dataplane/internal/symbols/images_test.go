package symbols

import (
	"testing"

	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/process"
)

// However many programs come and go, what is kept of them is bounded; what is asked for again and again stays.
func TestWhatIsKeptOfImagesIsBounded(t *testing.T) {
	var kept images
	hot := key{path: "hot"}
	first := kept.of(hot)
	for i := range uint64(5000) {
		cold := kept.of(key{file: process.File{Inode: i}, path: "cold"})
		for offset := range uint64(100) {
			kept.keep(cold, offset, cpuprofile.Frame{Address: offset})
		}
		if again := kept.of(hot); again != first {
			t.Fatalf("after %d programs what is known of the one that runs all the time is gone", i)
		}
	}
	total := 0
	for _, generation := range []map[key]*image{kept.young, kept.old} {
		for _, one := range generation {
			total += imageWeight + len(one.frames)*frameWeight
		}
	}
	if total > mostKept || total < mostKept/4 {
		t.Errorf("%d bytes are kept", total)
	}
	for offset := range uint64(3 * maxNames) {
		kept.keep(first, offset, cpuprofile.Frame{})
	}
	if len(first.frames) > maxNames || first.weight > imageWeight+maxNames*frameWeight {
		t.Errorf("%d frames of one, which weigh %d", len(first.frames), first.weight)
	}
}
