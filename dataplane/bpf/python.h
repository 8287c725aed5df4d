// The functions of Python that a thread is in, from the interpreter's own frames. Since 3.13 CPython says in the memory of
// a process where its structs have what (offsets.h), at the start of _PyRuntime; the agent says where that is.
//
// Read are links between structs, and of each function its name, its file and its first line. Of a frame nothing
// is read but its link, its function and who owns it: no local variable, no argument, no value. It is the memory of the
// process that is sampled, which can only lie about itself.
#pragma once

#include "offsets.h"

enum { PYTHON_NAME = 128, PYTHON_FILE = 192, LINKS = 512 };
enum { BY_INTERPRETER = 3 }; // from this owner on, a frame is C's: of the call that runs the interpreter
// A frame's link to its function is an address whose lowest bit may say, since 3.14, who counts the reference.
#define REFERENCE_TAG 1ULL

struct program {
	u64 start; // of the process
	u64 program;
	u32 tgid;
	u32 padding;
};

// Addresses in its memory.
struct interpreter {
	u64 runtime;   // _PyRuntime
	u64 code_type; // PyCode_Type
};

// A function. Of a text that is too long the end is kept.
struct code {
	u32 line;
	u32 name_size; // in bytes
	u32 file_size;
	u8 name_kind; // bytes of a character
	u8 file_kind;
	u8 name_cut;
	u8 file_cut;
	char name[PYTHON_NAME];
	char file[PYTHON_FILE];
};

enum python { WALKED, PARTLY, NO_THREAD, UNREADABLE, UNKNOWN, PYTHON_OUTCOMES };

struct walk {
	u64 table[TABLE];
	struct offsets at;
	struct program process;
	u64 code_type;
	u64 interpreter, thread, frame; // where it is
	u32 thread_id;
	u32 depth;
	enum python outcome;
	struct code code;
};

// The agent's: processes that run an interpreter.
struct {
	UINT(type, HASH);
	UINT(max_entries, 4096);
	TYPE(key, struct program);
	TYPE(value, struct interpreter);
} interpreters SEC(".maps");

// By the hash of where and what they are: one that is freed, and another in its place, are two.
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, struct code);
} codes SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct walk);
} walks SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, PYTHON_OUTCOMES);
	TYPE(key, u32);
	TYPE(value, u64);
} python_outcomes SEC(".maps");

INLINE struct walk *the_walk(void)
{
	u32 zero = 0;
	return map_lookup(&walks, &zero);
}

#define READ(to, from) (!read_user(&(to), sizeof(to), (void *)(from)))

// The number of a thread as it knows it itself, in its own pid namespace.
INLINE u32 own_number(struct task_struct *task)
{
	struct pid *pid = task->thread_pid;
	int number = 0;
	void *numbers = (void *)__builtin_preserve_access_index(&pid->numbers[0]);
	read_kernel(&number, sizeof(number), numbers + pid->level * TYPE_SIZE(struct upid));
	return number;
}

// One link of the list of threads, which hangs in that of interpreters.
static long next_thread(u32 UNUSED index, void UNUSED *context)
{
	struct walk *walk = the_walk();
	u64 id = 0;
	if (!walk)
		return 1;
	if (!walk->thread) {
		if (!READ(walk->interpreter, walk->interpreter + walk->at.interpreter.next))
			walk->interpreter = 0;
		return !walk->interpreter || !READ(walk->thread, walk->interpreter + walk->at.interpreter.threads);
	}
	if (!READ(id, walk->thread + walk->at.thread.native_id)) {
		walk->outcome = UNREADABLE;
		return 1;
	}
	if ((u32)id == walk->thread_id) {
		walk->outcome = WALKED;
		return 1;
	}
	return !READ(walk->thread, walk->thread + walk->at.thread.next);
}

// The bytes of a text, or those of its end. A string object is its head and its characters in one piece.
INLINE int copy_text(struct walk *walk, u64 text, char *to, u32 room, u32 *size, u8 *kind, u8 *cut)
{
	u64 length = 0, from = text + walk->at.text.ascii_size;
	u32 state = 0;
	if (!READ(length, text + walk->at.text.length) || !READ(state, text + walk->at.text.state))
		return 0;
	u32 wide = state >> 2 & 7, compact = state >> 5 & 1, ascii = state >> 6 & 1;
	if (!compact || (wide != 1 && wide != 2 && wide != 4) || length > 1 << 20)
		return 0;
	if (!ascii)
		from += COMPACT_TEXT_SIZE;
	u64 bytes = length * wide;
	*cut = bytes > room;
	if (bytes > room) {
		from += bytes - room;
		bytes = room;
	}
	*size = bytes;
	*kind = wide;
	return !read_user(to, bytes, (void *)from);
}

// The key under which a function is kept, with its texts copied the first time; 0 where it is none.
INLINE u64 function(struct walk *walk, u64 code)
{
	u64 name = 0, file = 0, type = 0;
	u32 line = 0;
	if (!READ(name, code + walk->at.code.qualname) || !READ(file, code + walk->at.code.file) ||
	    !READ(line, code + walk->at.code.first_line))
		return 0;
	u64 key = mixed(mixed(mixed(walk->process.start, walk->process.program), walk->process.tgid), code);
	key = mixed(mixed(mixed(key, name), file), line);
	if (map_lookup(&codes, &key))
		return key;
	if (!READ(type, code + walk->at.object.type) || type != walk->code_type)
		return 0;
	struct code *to = &walk->code;
	to->line = line;
	if (!copy_text(walk, name, to->name, PYTHON_NAME, &to->name_size, &to->name_kind, &to->name_cut) ||
	    !copy_text(walk, file, to->file, PYTHON_FILE, &to->file_size, &to->file_kind, &to->file_cut))
		return 0;
	return map_update(&codes, &key, to, ANY) ? 0 : key;
}

// One frame, innermost first.
static long next_frame(u32 UNUSED index, void UNUSED *context)
{
	struct walk *walk = the_walk();
	u32 zero = 0;
	struct stack *stack = map_lookup(&scratch, &zero);
	if (!walk || !stack || !walk->frame)
		return 1;
	u64 frame = walk->frame, code = 0;
	u8 owner = 0;
	if (!READ(owner, frame + walk->at.frame.owner) || !READ(code, frame + walk->at.frame.executable) ||
	    !READ(walk->frame, frame + walk->at.frame.previous)) {
		walk->outcome = PARTLY;
		return 1;
	}
	if (owner >= BY_INTERPRETER)
		return 0;
	u64 key = function(walk, code & ~REFERENCE_TAG);
	u32 depth = walk->depth;
	if (!key || depth >= DEPTH) {
		walk->outcome = PARTLY;
		return 1;
	}
	stack->frames[depth] = key;
	walk->depth = depth + 1;
	return 0;
}

INLINE enum python walk_frames(struct walk *walk, struct task_struct *task, struct interpreter *given)
{
	struct offsets *at = &walk->at;
	struct layout layout;
	u64 runtime = given->runtime;
	if (read_user(walk->table, HEAD * sizeof(u64), (void *)runtime))
		return UNREADABLE;
	if (!find_layout(walk->table, &layout))
		return UNKNOWN;
	if (read_user(walk->table, (layout.text + OF_A_TEXT) * sizeof(u64), (void *)runtime))
		return UNREADABLE;
	if (!find_offsets(walk->table, &layout, at))
		return UNKNOWN;
	walk->code_type = given->code_type;
	walk->thread_id = own_number(task);
	walk->thread = 0;
	walk->depth = 0;
	walk->outcome = NO_THREAD;
	// The list of interpreters as one that follows its head.
	if (!READ(walk->interpreter, runtime + at->interpreters.head) || !walk->interpreter ||
	    !READ(walk->thread, walk->interpreter + at->interpreter.threads))
		return UNREADABLE;
	loop(LINKS, next_thread, 0, 0);
	if (walk->outcome != WALKED)
		return walk->outcome;
	if (!READ(walk->frame, walk->thread + at->thread.frame))
		return UNREADABLE;
	loop(LINKS, next_frame, 0, 0);
	return walk->frame ? PARTLY : walk->outcome;
}

// Stores the stack of the running thread if it is one of an interpreter's; its hash, or 0.
INLINE u64 take_python(struct program *process, void *stacks, enum taken *taken)
{
	u32 zero = 0;
	u64 hash = 0;
	*taken = WHOLE;
	struct interpreter *given = map_lookup(&interpreters, process);
	struct walk *walk = the_walk();
	struct stack *stack = map_lookup(&scratch, &zero);
	if (!given || !walk || !stack)
		return 0;
	walk->process = *process;
	walk->depth = 0;
	add_one(&python_outcomes, walk_frames(walk, current_task(), given));
	*taken = store_stack(stack, walk->depth * sizeof(u64), 1, stacks, &hash);
	return hash;
}
