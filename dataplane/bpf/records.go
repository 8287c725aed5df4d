package bpf

import "github.com/cilium/ebpf"

// The structs of the sources, member by member. A test holds them to the objects' own BTF.

// Depth is how many frames of a stack are kept.
const Depth = 127

// Told is the sampler's struct control.
type Told struct {
	Until   uint64 // CLOCK_MONOTONIC, past which nothing is sampled
	BaseHz  uint32
	Padding uint32
}

// Sample is the key of a count.
type Sample struct {
	Cgroup  uint64
	Start   uint64 // of the process, CLOCK_BOOTTIME
	User    uint64 // keys of stacks, 0 for none
	Kernel  uint64
	Python  uint64 // likewise, of keys of functions
	Tgid    uint32
	Hz      uint32
	Program uint64
	Comm    [16]byte
}

// Program is one process, as long as it is that program.
type Program struct {
	Start   uint64
	Program uint64
	Tgid    uint32
	Padding uint32
}

// Interpreter is where CPython has its state, in the memory of a Program.
type Interpreter struct {
	Runtime  uint64
	CodeType uint64
}

// Code is a function of Python's; of a text that is too long the end.
type Code struct {
	Line     uint32
	NameSize uint32
	FileSize uint32
	NameKind uint8 // bytes of a character
	FileKind uint8
	NameCut  uint8
	FileCut  uint8
	Name     [128]byte
	File     [192]byte
}

// What became of the Python stacks of processes with an interpreter, as indices of the map PythonOutcomes.
const (
	PythonWalked     = iota
	PythonPartly     // outer frames are missing: too deep, or not in memory
	PythonNoThread   // a thread that Python does not know
	PythonUnreadable // not in memory
	PythonUnknown    // a version whose layout is not known
	pythonOutcomes
)

// Stack is innermost frame first.
type Stack struct {
	Depth  uint64
	Frames [Depth]uint64
}

// StackOf reads the addresses of one, innermost first; false where it has been evicted since.
func StackOf(stacks *ebpf.Map, key uint64) ([]uint64, bool) {
	var stack Stack
	if err := stacks.Lookup(key, &stack); err != nil {
		return nil, false
	}
	return stack.Frames[:min(stack.Depth, Depth)], true
}

// Place is the kernel's struct bpf_stack_build_id: where in a file a frame of a program is.
type Place struct {
	Status  int32
	BuildID [20]byte
	Offset  uint64
}

// Known is the status of a Place whose build id is known. Of others the offset is an address, which says nothing.
const Known = 1

// PlacedStack is innermost frame first.
type PlacedStack struct {
	Depth  uint64
	Frames [Depth]Place
}

// Named is a cgroup that something ran in.
type Named struct {
	Parent  uint64
	Known   uint32 // the agent has read it
	Padding uint32
	Name    [128]byte
}

// Task is followed by its cgroups, the innermost first.
type Task struct {
	Start   uint64
	Program uint64
	Tgid    uint32
	Parent  uint32
	Flags   uint32
	Padding uint32
	Comm    [16]byte
}

// Mapping is followed by a path of “Path“ bytes.
type Mapping struct {
	Start   uint64
	End     uint64
	Offset  uint64
	Inode   uint64
	Born    uint64
	Program uint64
	Device  uint32
	Tgid    uint32
	Flags   uint32
	Path    uint32
}

// Flags of a Mapping: what can be done with it, and whether the file is that of the one before.
const (
	Write    = 2
	Exec     = 4
	Shared   = 8
	SameFile = 1 << 31
)

// Question asks for memory; the answer is in the map Answers.
type Question struct {
	Address uint64
	Born    uint64
	Program uint64
	Tgid    uint32
	Size    uint32
}

// AnswerSize is the most that one Question gets.
const AnswerSize = 64 << 10

// Symbol is followed by a name of “Size“ bytes, the last of them 0.
type Symbol struct {
	Address uint64
	Size    uint32
	Padding uint32
}

// What became of the ticks of the perf events, as indices of the map Outcomes.
const (
	Kept = iota
	Stale
	Off
	Thinned
	LostCount
	LostStack
	Truncated
	outcomes
)

// OffTold is off-CPU's struct control.
type OffTold struct {
	Until     uint64 // CLOCK_MONOTONIC, past which nothing is taken; 0 where nobody asks
	Since     uint64 // from when on it was so without a break
	Threshold uint64 // nanoseconds
}

// Block is the key of a sum of waits.
type Block struct {
	Cgroup  uint64
	At      uint64 // the one above it that asks
	Start   uint64 // of the process, CLOCK_BOOTTIME
	User    uint64 // keys of stacks, 0 for none
	Kernel  uint64
	Program uint64
	Tgid    uint32
	Length  uint32
}

// Lengths are the classes of waits: below 16 us, below 64, and so on.
const Lengths = 12

// All is the time of all waits of a cgroup that asks, by their length.
type All struct{ Nanoseconds [Lengths]uint64 }

// Blocked is what a Block comes to.
type Blocked struct {
	Number      uint64
	Nanoseconds uint64
}

// What became of the waits of threads, as indices of the map OffOutcomes.
const (
	OffKept = iota
	OffTaken
	OffLate
	OffLeftOut
	OffOff
	OffStale
	OffLostState
	OffLostCount
	OffLostStack
	OffTruncated
	offOutcomes
)
