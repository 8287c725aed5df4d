package cpuprofile

import (
	"testing"
	"time"
)

// Older kernels tell build ids, not names of files.
func TestFramesOfAFileWithoutAName(t *testing.T) {
	b := New(99).ByFile()
	b.Add([]Frame{{Image: Image{BuildID: "abc", To: 1 << 32}, Address: 0x44}}, 1, time.Second)
	built, err := b.Build(time.Unix(1000, 0), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	location := built.Location[0]
	if location.Address != 0x44 || location.Mapping.BuildID != "abc" || location.Mapping.HasFunctions ||
		location.Line[0].Function.Name != "[file without a name]" {
		t.Errorf("%v", built)
	}
}
