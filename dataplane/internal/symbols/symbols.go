// Package symbols turns the addresses of stacks into frames: names of the kernel, of Go programs and of what libraries
// export, and for everything else the build id of the file and the place in it.
package symbols

import (
	"errors"
	"io"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/elfimage"
	"flameplane.dev/dataplane/internal/elfsymbols"
	"flameplane.dev/dataplane/internal/gosymbols"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/python"
)

const (
	attempts = 5 // processes that may end while an image is read

	kernelStart = 1 << 63
)

// Frames that stand for what cannot be known.
var (
	Unmapped = cpuprofile.Frame{Function: "[unmapped]"}       // the process ended before it was asked for
	Lost     = cpuprofile.Frame{Function: "[stack lost]"}     // evicted before it was read
	NoStack  = cpuprofile.Frame{Function: "[no stack]"}       // the kernel found none
	Written  = cpuprofile.Frame{Function: "[generated code]"} // memory without a file: a JIT, or the vDSO
	Kernel   = cpuprofile.Image{File: "[kernel]", To: 1<<64 - 1, From: kernelStart}
)

// Names gives the kernel's functions their names.
type Names interface {
	Name(address uint64) (string, bool)
}

// Symbols keeps what is known of images.
type Symbols struct {
	kernel Names
	memory func(process.ID) io.ReaderAt
	images images
}

// key is one file as a mount has it; a number of an inode that is given away again comes with another path, mostly.
type key struct {
	file process.File
	path string
}

type image struct {
	weight  int
	failed  int
	read    bool // for good
	elf     *elfimage.Image
	table   *gosymbols.Table  // of a Go program
	exports *elfsymbols.Table // of any other
	python  *bpf.Interpreter  // where its headers say, if it holds one
	frames  map[uint64]cpuprofile.Frame
}

// New resolves with these: the kernel's names may be nil.
func New(kernel Names, memory func(process.ID) io.ReaderAt) *Symbols {
	return &Symbols{kernel: kernel, memory: memory}
}

// KernelFrames names a kernel stack.
func (s *Symbols) KernelFrames(addresses []uint64) []cpuprofile.Frame {
	frames := make([]cpuprofile.Frame, len(addresses))
	for i, address := range addresses {
		frames[i] = cpuprofile.Frame{Image: Kernel, Address: address}
		if s.kernel != nil {
			if name, ok := s.kernel.Name(CallSite(address, i)); ok {
				// One location per function: the kernel's addresses say nothing elsewhere.
				frames[i] = cpuprofile.Frame{Image: Kernel, Address: kernelStart, Function: name}
			}
		}
	}
	return frames
}

// Process resolves stacks of one process as it is mapped now.
type Process struct {
	symbols *Symbols
	space   process.Space
	memory  io.ReaderAt
	id      process.ID
}

// Of begins with one process.
func (s *Symbols) Of(id process.ID, space process.Space) *Process {
	return &Process{symbols: s, space: space, id: id}
}

// Frames resolves a user stack. It ends where an address lies in no mapping: code without frame pointers leaves a chain
// that leads anywhere.
func (p *Process) Frames(addresses []uint64) []cpuprofile.Frame {
	var frames []cpuprofile.Frame
	for i, address := range addresses {
		at := CallSite(address, i)
		mapping, ok := p.space.At(at)
		switch {
		case !ok && i == 0:
			return []cpuprofile.Frame{Unmapped}
		case !ok:
			return frames
		case mapping.File == process.File{}:
			frames = append(frames, Written)
		default:
			frames = append(frames, p.frame(mapping, at))
		}
	}
	return frames
}

func (p *Process) frame(mapping process.Mapping, address uint64) cpuprofile.Frame {
	offset := address - mapping.Start + mapping.Offset
	found := p.image(mapping)
	if frame, ok := found.frames[offset]; ok {
		return frame
	}
	frame := cpuprofile.Frame{Address: offset, Image: cpuprofile.Image{
		File: mapping.Path, From: mapping.Offset, To: mapping.Offset + mapping.End - mapping.Start,
	}}
	if found.elf != nil {
		frame.Image.BuildID = found.elf.BuildID
	}
	if found.table != nil {
		known, err := found.table.Lookup(p.file(mapping), offset)
		if err != nil {
			return frame // its process may have ended; the next may still be read
		}
		frame.Function, frame.File = known.Function, known.File
		frame.Line, frame.Start = known.Line, known.StartLine
	}
	if found.exports != nil {
		name, err := found.exports.Lookup(p.file(mapping), offset)
		if err != nil {
			return frame
		}
		frame.Function = name
	}
	if !found.read {
		return frame
	}
	p.symbols.images.keep(found, offset, frame)
	return frame
}

// image is what is known of a mapping's file, read from this process's memory the first time.
func (p *Process) image(mapping process.Mapping) *image {
	found := p.symbols.images.of(key{mapping.File, mapping.Path})
	if found.read {
		return found
	}
	err := p.readImage(mapping, found)
	if err != nil {
		found.failed++
	}
	found.read = err == nil || found.failed >= attempts
	return found
}

func (p *Process) readImage(mapping process.Mapping, into *image) error {
	file := p.file(mapping)
	headers, err := elfimage.Read(file)
	if err != nil {
		return err
	}
	into.elf = headers
	bias, ok := headers.Bias(mapping.Start, mapping.Offset)
	if !ok {
		return errors.New("its code lies in no segment")
	}
	if !headers.Go {
		if at, ok, err := python.Find(file, headers, bias); err != nil {
			return err
		} else if ok {
			into.python = &at
		}
		if into.exports, err = elfsymbols.Read(file, headers, bias); err != nil {
			return err
		}
		p.symbols.images.grow(into, into.exports.Len()*entryWeight)
		return nil
	}
	var ranges []gosymbols.Range
	for _, each := range file.Mappings {
		if each.Readable() {
			ranges = append(ranges, gosymbols.Range{From: each.Offset, To: each.Offset + each.End - each.Start})
		}
	}
	into.table, err = gosymbols.Find(file, headers, ranges, bias)
	return err
}

// Interpreter is CPython in this process, once code of it was seen to run: here or in another process of that file.
func (p *Process) Interpreter() (python.Interpreter, bool) {
	for _, mapping := range p.space {
		found, ok := p.symbols.images.known(key{mapping.File, mapping.Path})
		if !ok || found.python == nil || !mapping.Executable() {
			continue
		}
		if bias, ok := found.elf.Bias(mapping.Start, mapping.Offset); ok {
			return python.Interpreter{File: mapping.Path, Interpreter: bpf.Interpreter{
				Runtime: found.python.Runtime + bias, CodeType: found.python.CodeType + bias,
			}}, true
		}
	}
	return python.Interpreter{}, false
}

func (p *Process) file(mapping process.Mapping) process.FileAt {
	if p.memory == nil {
		p.memory = p.symbols.memory(p.id)
	}
	return process.FileAt{Memory: p.memory, Mappings: p.space.Of(mapping.File)}
}

// CallSite is inside the call that a return address follows: the address itself may be the next function's.
func CallSite(address uint64, depth int) uint64 {
	if depth == 0 {
		return address
	}
	return address - 1
}
