package identity

import (
	"log/slog"
	"reflect"
)

// Follower reads services.json again. What cannot be read is told once, and the last good state stays.
type Follower struct {
	path string
	seen *Declared
	told string
}

// NewFollower begins with what was read already.
func NewFollower(path string, seen *Declared) *Follower { return &Follower{path: path, seen: seen} }

// Look is what is declared now, nil where nothing changed.
func (f *Follower) Look() *Declared {
	read, err := ReadDeclared(f.path)
	if err != nil {
		if f.told != err.Error() {
			f.told = err.Error()
			slog.Error("what is declared cannot be read; the last good state stays", "err", err)
		}
		return nil
	}
	f.told = ""
	if reflect.DeepEqual(read, f.seen) {
		return nil
	}
	if read.BaseHz != f.seen.BaseHz {
		slog.Warn("the base rate changes with a restart", "now", f.seen.BaseHz, "declared", read.BaseHz)
	}
	f.seen = read
	slog.Info("read what is declared anew", "services", len(read.Services))
	return read
}
