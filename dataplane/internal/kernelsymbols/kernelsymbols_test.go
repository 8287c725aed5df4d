package kernelsymbols

import (
	"bytes"
	"encoding/binary"
	"testing"

	"flameplane.dev/dataplane/bpf"
)

func printed(t testing.TB, symbols map[string]uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	for name, address := range symbols {
		if err := binary.Write(&out, binary.NativeEndian, bpf.Symbol{Address: address, Size: uint32(len(name) + 1)}); err != nil {
			t.Fatal(err)
		}
		out.WriteString(name + "\x00")
	}
	return out.Bytes()
}

func TestNamesByAddress(t *testing.T) {
	table, err := parse(bytes.NewReader(printed(t, map[string]uint64{"read": 300, "open": 100, "write": 200})))
	if err != nil || table.Len() != 3 {
		t.Fatal(table, err)
	}
	for address, want := range map[uint64]string{99: "", 100: "open", 199: "open", 200: "write", 301: "read"} {
		if name, ok := table.Name(address); name != want || ok != (want != "") {
			t.Errorf("%d: %s", address, name)
		}
	}
	if name, ok := (&Table{}).Name(5); ok {
		t.Error(name)
	}
}

func TestWhatIsCutOffIsAnError(t *testing.T) {
	data := printed(t, map[string]uint64{"schedule": 100})
	for size := 1; size < len(data); size++ {
		if _, err := parse(bytes.NewReader(data[:size])); err == nil {
			t.Errorf("%d bytes are enough", size)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(printed(f, map[string]uint64{"schedule": 100, "open": 7}), uint64(8))
	f.Fuzz(func(_ *testing.T, data []byte, address uint64) {
		if table, err := parse(bytes.NewReader(data)); err == nil {
			table.Name(address)
		}
	})
}
