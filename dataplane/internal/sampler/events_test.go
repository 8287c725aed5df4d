package sampler

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListsOfCPUs(t *testing.T) {
	for text, want := range map[string][]int{"0": {0}, "0-1": {0, 1}, "0-1,4,6-7": {0, 1, 4, 6, 7}} {
		if found, err := parseCPUs(text); err != nil || !slices.Equal(found, want) {
			t.Errorf("%s: %v %v", text, found, err)
		}
	}
	for _, text := range []string{"", "a", "1-", "3-1", "0,,2", "-1", "0-99999999"} {
		if found, err := parseCPUs(text); err == nil {
			t.Errorf("%q: %v", text, found)
		}
	}
}

// machine has CPUs whose events can be refused or can stand still.
type machine struct {
	events         *Events
	refuses        map[int]error
	still          map[int]bool
	opened, closed []int
}

type fake struct {
	of  *machine
	cpu int
}

func (f *fake) advanced() bool { return !f.of.still[f.cpu] }

func (f *fake) stop() { f.of.closed = append(f.of.closed, f.cpu) }

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{refuses: map[int]error{}, still: map[int]bool{}}
	m.events = newEvents(filepath.Join(t.TempDir(), "online"), func(cpu int) (clock, error) {
		if err := m.refuses[cpu]; err != nil {
			return nil, err
		}
		m.opened = append(m.opened, cpu)
		return &fake{m, cpu}, nil
	})
	return m
}

// follows has these CPUs online, and asserts which events were opened and closed then.
func (m *machine) follows(t *testing.T, online string, opened, closed []int) {
	t.Helper()
	if err := os.WriteFile(m.events.list, []byte(online+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.opened, m.closed = nil, nil
	if err := m.events.Follow(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(m.closed)
	if !slices.Equal(m.opened, opened) || !slices.Equal(m.closed, closed) {
		t.Errorf("%s: opened %v, closed %v", online, m.opened, m.closed)
	}
}

func (m *machine) counts(t *testing.T, ticking, opened, refused int64) {
	t.Helper()
	e := m.events
	if e.Ticking.Load() != ticking || e.Opened.Load() != opened || e.Refused.Load() != refused {
		t.Errorf("%d tick, %d opened, %d refused", e.Ticking.Load(), e.Opened.Load(), e.Refused.Load())
	}
}

func TestFollowsTheCPUs(t *testing.T) {
	m := newMachine(t)
	m.follows(t, "0-2", []int{0, 1, 2}, nil)
	m.follows(t, "0-2", nil, nil)
	m.follows(t, "0,3-4", []int{3, 4}, []int{1, 2})
	m.follows(t, "0-1,4", []int{1}, []int{3})
	m.counts(t, 3, 6, 0)
	m.still[4] = true // it was offline, and is back
	m.follows(t, "0-1,4", []int{4}, []int{4})
	m.closed = nil
	m.events.Close()
	slices.Sort(m.closed)
	if !slices.Equal(m.closed, []int{0, 1, 4}) {
		t.Errorf("in the end %v were closed", m.closed)
	}
	m.counts(t, 0, 7, 0)
}

func TestOneRefusalEndsNothing(t *testing.T) {
	m := newMachine(t)
	m.refuses[1] = unix.ENODEV
	m.follows(t, "0-2", []int{0, 2}, nil)
	m.follows(t, "0-2", nil, nil)
	m.counts(t, 2, 2, 2)
	delete(m.refuses, 1)
	m.follows(t, "0-2", []int{1}, nil)
	m.counts(t, 3, 3, 2)
	m.refuses[2], m.still[2] = unix.EMFILE, true
	m.follows(t, "0-2", nil, []int{2})
	m.counts(t, 2, 3, 3)
}

func TestWithoutAnyCPUThereIsAnError(t *testing.T) {
	m := newMachine(t)
	if err := m.events.Follow(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	m.refuses[0], m.refuses[1] = unix.EACCES, unix.EPERM
	if err := os.WriteFile(m.events.list, []byte("0-1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.events.Follow(); !errors.Is(err, unix.EACCES) {
		t.Error(err)
	}
	m.counts(t, 0, 0, 2)
}
