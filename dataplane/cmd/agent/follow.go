package main

import (
	"log/slog"
	"reflect"

	"flameplane.dev/dataplane/internal/identity"
)

// follower reads services.json again. What cannot be read is told once, and the last good state stays.
type follower struct {
	path string
	seen *identity.Declared
	told string
}

// look is what is declared now, nil where nothing changed.
func (f *follower) look() *identity.Declared {
	read, err := identity.ReadDeclared(f.path)
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
