package settings

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// State is everything declared, as one: a request sees one state from its start to its end.
type State struct {
	Gateway *Gateway
	Gate    *Gate
	Grants  map[string]Grant

	Bad error // grants that cannot be read, which are none
}

// Folders name where the parts of a State are mounted.
type Folders struct {
	Config string // gateway.yaml itself
	Gate   string
	Grants string // may be missing
}

// Read reads a whole state, or says why not.
func (f Folders) Read() (*State, error) {
	text, err := os.ReadFile(f.Config)
	if err != nil {
		return nil, err
	}
	gateway, err := ReadGateway(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Config, err)
	}
	gate, err := ReadGate(f.Gate)
	if err != nil {
		return nil, err
	}
	for _, issuer := range gate.Issuers {
		if strings.TrimRight(issuer, "/") == strings.TrimRight(gateway.People.Issuer, "/") {
			// Jobs choose their own audience, and so could pass for people.
			return nil, fmt.Errorf("%s: the issuer of people, %s, is trusted for CI as well", f.Gate, issuer)
		}
	}
	grants, err := ReadGrants(f.Grants)
	if grants == nil {
		return nil, err
	}
	return &State{Gateway: gateway, Gate: gate, Grants: grants, Bad: err}, nil
}

// Watched is a State that follows its files. What cannot be read is told and the last good state stays; of grants only
// the bad one is left out: it must close the door to nobody else, and keep no reader in who was taken off.
type Watched struct {
	folders Folders
	state   atomic.Pointer[State]
	seen    [sha256.Size]byte
	told    func(error)
}

// Watch reads the state once, which has to work. “told“ gets the outcome of each later reading, nil when it worked.
func Watch(folders Folders, told func(error)) (*Watched, error) {
	seen := folders.sum() // before it is read: what changes meanwhile is read again
	state, err := folders.Read()
	if err != nil {
		return nil, err
	}
	watched := &Watched{folders: folders, told: told, seen: seen}
	watched.state.Store(state)
	if state.Bad != nil {
		told(state.Bad)
	}
	return watched, nil
}

// State is the newest good one.
func (w *Watched) State() *State { return w.state.Load() }

// Run looks every “every“ until the context ends. The kubelet swaps links, which inotify of a file does not see.
func (w *Watched) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Look()
		}
	}
}

// Look reads the files again if they changed.
func (w *Watched) Look() {
	sum := w.folders.sum()
	if sum == w.seen {
		return
	}
	w.seen = sum
	state, err := w.folders.Read()
	if err == nil {
		w.state.Store(state)
		err = state.Bad
	}
	w.told(err)
}

// sum is of every file's path and content.
func (f Folders) sum() [sha256.Size]byte {
	paths := []string{f.Config}
	for _, folder := range []string{f.Gate, f.Grants} {
		found, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	hash := sha256.New()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		fmt.Fprintf(hash, "%q %v %d\n%s", path, err != nil, len(text), text)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
