package bpf

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
	Tgid    uint32
	Hz      uint32
	Program uint64
	Comm    [16]byte
}

// Stack is innermost frame first.
type Stack struct {
	Depth  uint64
	Frames [Depth]uint64
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
