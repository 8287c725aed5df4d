package symbols

import (
	"reflect"
	"testing"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
)

func TestPlacesAreFramesWithBuildIDs(t *testing.T) {
	program := bpf.Place{Status: bpf.Known, BuildID: [20]byte{0: 0xab, 15: 0xcd}, Offset: 0x1100} // of 16 bytes
	caller, address := program, bpf.Place{Status: 2, Offset: 0x7f0000001234}
	caller.Offset = 0x1200
	image := cpuprofile.Image{BuildID: "ab0000000000000000000000000000cd", To: 1<<32 - 1}
	want := []cpuprofile.Frame{
		{Image: image, Address: 0x1100}, NoBuildID, {Image: image, Address: 0x11ff}, NoBuildID, // where it was called, not where it goes on
	}
	if got := PlaceFrames([]bpf.Place{program, address, address, caller, address}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := PlaceFrames(nil); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
