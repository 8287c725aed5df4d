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
	if address, ok := image.Address(text.Offset); !ok || address != text.Addr {
		t.Errorf(".text is loaded at %#x, not %#x", text.Addr, address)
	}
	if _, ok := image.Offset(1 << 60); ok {
		t.Error("an address of no segment has an offset")
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
			image.Address(4096)
			image.Offset(image.Entry)
		}
	})
}
