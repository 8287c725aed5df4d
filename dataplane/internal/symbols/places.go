package symbols

import (
	"bytes"
	"encoding/hex"
	"math"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
)

// NoBuildID stands for code of which the kernel says no build id: of files that have none where it looks (a Go program's
// GNU build id lies past the note that the kernel reads), and of memory without a file.
var NoBuildID = cpuprofile.Frame{Function: "[no build id]"}

// PlaceFrames are those of a stack of places. How much of a file is mapped is not known, nor what it is called. Frames
// of no known place that follow each other are one.
func PlaceFrames(places []bpf.Place) []cpuprofile.Frame {
	var frames []cpuprofile.Frame
	for i, place := range places {
		if place.Status != bpf.Known {
			if len(frames) == 0 || frames[len(frames)-1] != NoBuildID {
				frames = append(frames, NoBuildID)
			}
			continue
		}
		image := cpuprofile.Image{BuildID: hex.EncodeToString(whole(place.BuildID[:])), To: math.MaxUint32}
		frames = append(frames, cpuprofile.Frame{Image: image, Address: CallSite(place.Offset, i)})
	}
	return frames
}

// whole takes off the zeros that the kernel fills up a shorter build id with (md5 has 16 bytes, lld's fast one 8).
func whole(id []byte) []byte {
	for len(id) > 8 && bytes.Equal(id[len(id)-4:], []byte{0, 0, 0, 0}) {
		id = id[:len(id)-4]
	}
	return id
}
