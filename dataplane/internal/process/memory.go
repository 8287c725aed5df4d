package process

import (
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/pins"
)

const (
	progTestRun = 10 // command of bpf(2)
	page        = 4096
	keptPages   = 512
)

// Memory is what can be read of one process, at its addresses: private mappings of files that cannot be written to.
// Everything else is refused by the kernel's side. Pages are kept, for as long as the Memory is.
type Memory struct {
	opened *pins.Pins
	id     ID
	pages  map[uint64][]byte
}

// MemoryOf reads one process.
func MemoryOf(opened *pins.Pins, id ID) *Memory {
	return &Memory{opened: opened, id: id, pages: map[uint64][]byte{}}
}

// ReadAt reads at an address.
func (m *Memory) ReadAt(into []byte, address int64) (int, error) {
	if len(into) > page {
		return m.readLarge(into, uint64(address))
	}
	done := 0
	for done < len(into) {
		at := uint64(address) + uint64(done)
		kept, ok := m.pages[at/page]
		if !ok {
			kept = make([]byte, page)
			if err := m.ask(kept, at/page*page); err != nil {
				return done, err
			}
			if len(m.pages) >= keptPages {
				m.pages = map[uint64][]byte{}
			}
			m.pages[at/page] = kept
		}
		done += copy(into[done:], kept[at%page:])
	}
	return done, nil
}

func (m *Memory) readLarge(into []byte, address uint64) (int, error) {
	done := 0
	for done < len(into) {
		size := min(len(into)-done, bpf.AnswerSize)
		if err := m.ask(into[done:done+size], address+uint64(done)); err != nil {
			return done, err
		}
		done += size
	}
	return done, nil
}

// testRun is the kernel's union bpf_attr for progTestRun. The library's own call would first load a program, to find
// out whether it can be called, and that takes CAP_BPF.
type testRun struct {
	program, result                  uint32
	dataIn, dataOut                  uint32
	dataInAddress, dataOutAddress    uint64
	repeat, duration                 uint32
	contextIn, contextOut            uint32
	contextInAddress, contextOutAddr uint64
	flags, cpu, batch, padding       uint32
}

func (m *Memory) ask(into []byte, address uint64) error {
	question := bpf.Question{
		Address: address, Born: m.id.Start, Program: m.id.Program, Tgid: m.id.Tgid, Size: uint32(len(into)),
	}
	call := testRun{
		program: uint32(m.opened.Programs[bpf.ReadMemory].FD()), contextIn: uint32(unsafe.Sizeof(question)),
		contextInAddress: uint64(uintptr(unsafe.Pointer(&question))),
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, progTestRun, uintptr(unsafe.Pointer(&call)), unsafe.Sizeof(call))
	if errno == 0 && int32(call.result) < 0 {
		errno = unix.Errno(-int32(call.result))
	}
	if errno != 0 {
		return fmt.Errorf("read %d bytes at %#x of process %d: %w", len(into), address, m.id.Tgid, errno)
	}
	answer, err := m.opened.Maps[bpf.Answers].Memory()
	if err == nil {
		_, err = answer.ReadAt(into, 0)
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

var _ io.ReaderAt = (*Memory)(nil)

// FileAt is a file as a process has it mapped: offsets of the file, not addresses.
type FileAt struct {
	Memory   io.ReaderAt
	Mappings []Mapping // of that file
}

// ReadAt reads at an offset of the file.
func (f FileAt) ReadAt(into []byte, offset int64) (int, error) {
	for _, each := range f.Mappings {
		if end := each.Offset + each.End - each.Start; each.Readable() && each.Offset <= uint64(offset) && uint64(offset) < end {
			size := min(uint64(len(into)), end-uint64(offset))
			read, err := f.Memory.ReadAt(into[:size], int64(each.Start+uint64(offset)-each.Offset))
			if err == nil && read < len(into) {
				err = io.ErrUnexpectedEOF
			}
			return read, err
		}
	}
	return 0, fmt.Errorf("offset %d of the file is not mapped for reading: %w", offset, io.EOF)
}
