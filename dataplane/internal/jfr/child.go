package jfr

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/internal/intake"
)

const (
	goal = Most * 3 / 4 // of its heap, for the garbage collector

	unable, malformed, tooLarge = 1, 3, 4 // exit codes; from 3 on the recording is at fault
)

// head goes before a recording's contexts and events on the way to the process that parses.
type head struct {
	Contexts, Start, End, Rate int64
	WithoutCPU                 bool
}

// question is a recording as it is written to that process, without a copy of it.
func question(from Recording) (io.Reader, error) {
	var first bytes.Buffer
	err := binary.Write(&first, binary.LittleEndian, head{
		int64(len(from.Contexts)), from.Start.UnixNano(), from.End.UnixNano(), from.Rate, from.WithoutCPU,
	})
	return io.MultiReader(&first, bytes.NewReader(from.Contexts), bytes.NewReader(from.Events)), err
}

func asked(in io.Reader) (Recording, error) {
	var first head
	if err := binary.Read(in, binary.LittleEndian, &first); err != nil {
		return Recording{}, err
	}
	contexts := make([]byte, first.Contexts)
	if _, err := io.ReadFull(in, contexts); err != nil {
		return Recording{}, err
	}
	events, err := io.ReadAll(in)
	return Recording{events, contexts, time.Unix(0, first.Start), time.Unix(0, first.End), first.Rate, first.WithoutCPU}, err
}

// Child is the process that parses; its result is its exit code.
func Child(in io.Reader, out, said io.Writer) int {
	debug.SetMemoryLimit(goal)
	debug.SetTraceback("none") // it says how it ended by its exit code
	if err := limit(); err != nil {
		fmt.Fprintln(said, err)
		return unable
	}
	from, err := asked(in)
	if err != nil {
		fmt.Fprintln(said, err)
		return unable
	}
	answer := gob.NewEncoder(out)
	if err := Parse(from, func(one Profile) error { return answer.Encode(one) }); err != nil {
		fmt.Fprintf(said, "%.500s\n", err.Error())
		if errors.Is(err, intake.ErrTooLarge) {
			return tooLarge
		}
		return malformed
	}
	return 0
}

// limit has the kernel refuse what is more than Most. What Go reserves at the start and does not use is beside it.
func limit() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(text, []byte("\nVmData:"))
	var mapped uint64
	if _, err := fmt.Sscanf(string(rest), "%d kB", &mapped); err != nil {
		return fmt.Errorf("/proc/self/status tells no VmData: %w", err)
	}
	most := mapped<<10 + Most
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
}
