package jfr

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/internal/intake"
)

const (
	// Command is the program's argument by which it is the process that parses.
	Command = "jfr"

	patience   = 10 * time.Second // for the turn
	longest    = 3 * time.Second  // some recordings have the parser go round for ever
	mostAnswer = 16 << 20
	goal       = 24 << 20 // of its heap, for the garbage collector

	malformed, tooLarge = 3, 4 // exit codes: the recording is at fault
)

// ErrUnavailable is told where no process can be had.
var ErrUnavailable = errors.New("recordings cannot be read now")

// Apart parses recordings by a program that calls Child with the arguments, one at a time.
type Apart struct {
	program   string
	arguments []string
	longest   time.Duration
	turn      chan struct{}
}

// NewApart has this very program parse.
func NewApart() (*Apart, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &Apart{program, []string{Command}, longest, make(chan struct{}, 1)}, nil
}

// Parse reads a recording in a process of its own.
func (a *Apart) Parse(ctx context.Context, from Recording) ([]Profile, error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: others are being read", ErrUnavailable)
	case <-time.After(patience):
		return nil, fmt.Errorf("%w: others are being read", ErrUnavailable)
	}
	ctx, stop := context.WithTimeout(ctx, a.longest)
	defer stop()
	var asked, answer, said bytes.Buffer
	if err := gob.NewEncoder(&asked).Encode(from); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, a.program, a.arguments...)
	command.Env = []string{}
	command.Stdin, command.Stdout, command.Stderr = &asked, &bounded{&answer, mostAnswer}, &bounded{&said, 1 << 10}
	err := command.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		switch exit.ExitCode() {
		case malformed:
			return nil, errors.New(strings.TrimSpace(said.String()))
		case tooLarge:
			return nil, intake.ErrTooLarge
		}
		return nil, fmt.Errorf("%w: reading the recording took too much memory or time", intake.ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	var found []Profile
	if err := gob.NewDecoder(&answer).Decode(&found); err != nil {
		return nil, fmt.Errorf("what was read of the recording cannot be read: %w", err)
	}
	return found, nil
}

// bounded takes the beginning of what is written, and ends who writes more than that.
type bounded struct {
	into *bytes.Buffer
	left int
}

func (b *bounded) Write(text []byte) (int, error) {
	if len(text) > b.left {
		return 0, io.ErrShortWrite
	}
	b.left -= len(text)
	return b.into.Write(text)
}

// Child is the process that parses; its result is its exit code.
func Child(in io.Reader, out, said io.Writer) int {
	debug.SetMemoryLimit(goal)
	debug.SetTraceback("none") // it says how it ended by its exit code
	limit := unix.Rlimit{Cur: mostMapped, Max: mostMapped}
	if mostMapped > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &limit); err != nil {
			fmt.Fprintln(said, err)
			return 1
		}
	}
	var asked Recording
	if err := gob.NewDecoder(in).Decode(&asked); err != nil {
		fmt.Fprintln(said, err)
		return 1
	}
	found, err := Parse(asked)
	if err != nil {
		fmt.Fprintf(said, "%.500s\n", err.Error())
		if errors.Is(err, intake.ErrTooLarge) {
			return tooLarge
		}
		return malformed
	}
	if err := gob.NewEncoder(out).Encode(found); err != nil {
		fmt.Fprintln(said, err)
		return 1
	}
	return 0
}
