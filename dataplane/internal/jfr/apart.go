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
	"strings"
	"time"

	"flameplane.dev/dataplane/internal/intake"
)

const (
	// Command is the program's argument by which it is the process that parses.
	Command = "jfr"
	// Most is what that process takes of memory beyond what it begins with: the kernel gives it no more.
	Most = 56 << 20

	patience   = 10 * time.Second // for the turn
	longest    = 3 * time.Second  // some recordings have the parser go round for ever
	mostAnswer = 4 << 20          // of profiles, which are compressed
)

var (
	// ErrUnavailable is told where no process can be had.
	ErrUnavailable = errors.New("recordings cannot be read now")
	// ErrMemory and ErrTime are told of recordings that would take more than there is for one.
	ErrMemory = fmt.Errorf("reading the recording takes more than %d MB of memory", Most>>20)
	ErrTime   = fmt.Errorf("reading the recording takes longer than %v", longest)
)

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
	within, stop := context.WithTimeout(ctx, a.longest)
	defer stop()
	asked, err := question(from)
	if err != nil {
		return nil, err
	}
	answer, said := &bounded{left: mostAnswer}, &bounded{left: 1 << 10}
	command := exec.CommandContext(within, a.program, a.arguments...)
	command.Env = []string{"GOMAXPROCS=1"} // threads take memory, too
	command.Stdin, command.Stdout, command.Stderr = asked, answer, said
	err = command.Run()
	switch exit := new(exec.ExitError); {
	case answer.full:
		return nil, fmt.Errorf("%w: its profiles have more than %d MB, compressed", intake.ErrTooLarge, mostAnswer>>20)
	case err == nil:
		return profiles(&answer.text)
	case !errors.As(err, &exit):
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	case exit.ExitCode() == malformed:
		return nil, errors.New(strings.TrimSpace(said.text.String()))
	case exit.ExitCode() == tooLarge:
		return nil, intake.ErrTooLarge
	case exit.ExitCode() == unable:
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, strings.TrimSpace(said.text.String()))
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, ctx.Err())
	case within.Err() != nil:
		return nil, ErrTime
	}
	return nil, ErrMemory // Go ends so where it gets no more, and the kernel ends it where the container has no more
}

func profiles(answer io.Reader) ([]Profile, error) {
	var found []Profile
	for decoder := gob.NewDecoder(answer); ; {
		var one Profile
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("what was read of the recording cannot be read: %w", err)
		}
		found = append(found, one)
	}
}

// bounded takes the beginning of what is written, and ends who writes more than that.
type bounded struct {
	text bytes.Buffer // not embedded: a copy to it would go by ReadFrom, past Write
	left int
	full bool
}

func (b *bounded) Write(text []byte) (int, error) {
	if len(text) > b.left {
		b.full = true
		return 0, io.ErrShortWrite
	}
	b.left -= len(text)
	return b.text.Write(text)
}
