package identity

import (
	"os"
	"path/filepath"
	"testing"
)

func TestServicesAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"baseRateHz": 99}`)
	first, err := ReadDeclared(path)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFollower(path, first)
	if changed := f.Look(); changed != nil {
		t.Errorf("%+v", changed)
	}
	write(`{"baseRateHz": 99, "excludedNamespaces": ["a"]}`)
	if changed := f.Look(); changed == nil || len(changed.ExcludedNamespaces) != 1 {
		t.Errorf("%+v", changed)
	}
	write(`{`)
	if changed := f.Look(); changed != nil || f.told == "" || len(f.seen.ExcludedNamespaces) != 1 {
		t.Errorf("%+v", changed)
	}
}
