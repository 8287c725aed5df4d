package elfimage

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"os"
	"testing"
)

func self(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skipf("NOT RUN: no program of Linux: %v", err)
	}
	return data
}

// The program of this test, read as debug/elf reads it, which has all sections at hand.
func TestReadsAGoProgram(t *testing.T) {
	data := self(t)
	image, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := buildinfo.Read(bytes.NewReader(data)); err != nil || !image.Go {
		t.Errorf("not seen to be Go: %v", err)
	}
	if image.BuildID == "" || image.Entry != whole.Entry {
		t.Errorf("%+v", image)
	}
	text := whole.Section(".text")
	if offset, ok := image.Offset(text.Addr); !ok || offset != text.Offset {
		t.Errorf(".text is at %#x, not %#x", text.Offset, offset)
	}
	if bias, ok := image.Bias(text.Addr+5<<30, text.Offset); !ok || bias != 5<<30 {
		t.Errorf("it is loaded %#x away", bias)
	}
	if _, ok := image.Offset(1 << 60); ok {
		t.Error("an address of no segment has an offset")
	}
}

// As lld links: segments follow each other in the file, and share pages of it.
func TestHowFarAnImageIsLoadedAway(t *testing.T) {
	image := &Image{Loads: []elf.ProgHeader{
		{Flags: elf.PF_R, Off: 0, Vaddr: 0, Filesz: 0x1234},
		{Flags: elf.PF_R | elf.PF_X, Off: 0x1234, Vaddr: 0x2234, Filesz: 0x3000},
		{Flags: elf.PF_R | elf.PF_W, Off: 0x4234, Vaddr: 0x6234, Filesz: 0x100},
	}}
	const base = 0x7f0000000000
	for offset, start := range map[uint64]uint64{0x1000: 0x2000, 0x3000: 0x4000, 0: 0} {
		if bias, ok := image.Bias(base+start, offset); !ok || bias != base {
			t.Errorf("%#x: %#x %v", offset, bias, ok)
		}
	}
	if bias, ok := image.Bias(base, 0x5000); ok {
		t.Errorf("what lies in no segment: %#x", bias)
	}
}

func TestReadsTheBuildIDOfGNU(t *testing.T) {
	const library = "/lib/x86_64-linux-gnu/libc.so.6"
	whole, err := elf.Open(library)
	if err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	defer whole.Close()
	note, err := whole.Section(".note.gnu.build-id").Data()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	image, err := Read(bytes.NewReader(data))
	if err != nil || image.Go || image.BuildID != hex.EncodeToString(note[16:]) {
		t.Errorf("%+v %v", image, err)
	}
}

func TestWhatIsNoELFFile(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing": {}, "text": bytes.Repeat([]byte("#!/bin/sh"), 30), "32 bits": append([]byte("\x7fELF\x01\x01"), make([]byte, 80)...),
		"a header alone": self(t)[:70],
	} {
		if image, err := Read(bytes.NewReader(data)); err == nil {
			t.Errorf("%s: %+v", name, image)
		}
	}
}

func FuzzRead(f *testing.F) {
	data := self(f)
	f.Add(data[:4096])
	f.Fuzz(func(_ *testing.T, data []byte) {
		if image, err := Read(bytes.NewReader(data)); err == nil {
			image.Bias(1<<40, 4096)
			image.Offset(image.Entry)
		}
	})
}
