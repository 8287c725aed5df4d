// Where CPython's structs have what: it says so itself, for debuggers, in a table at the start of _PyRuntime (struct
// _Py_DebugOffsets of Include/internal/pycore_debug_offsets.h; of 3.13 in pycore_runtime.h). The table has other members
// in each version, and may have others again before its release.
#pragma once

#define COOKIE 0x7970677562656478ULL /* "xdebugpy" */
enum { RELEASE = 0xf };		     // as PY_VERSION_HEX has it
enum { COMPACT_TEXT_SIZE = 16 };     // what a text that is not ASCII has besides (utf8_length, utf8)
enum { POINTER_SIZE = 8 };
// In numbers: what the table begins with, and all of the longest up to the offsets of a text, of which four are read.
enum { HEAD = 3, OF_A_TEXT = 4, TABLE = 89 + OF_A_TEXT };

// Where a version's table has the offsets of a struct, in numbers from its start. They begin with the struct's size and
// what was there first, which is the same in all of them.
struct layout {
	u32 thread, native_id, frame, code, object, text;
};

// What is read of a table.
struct offsets {
	struct {
		u64 head;
	} interpreters;
	struct {
		u64 next, threads;
	} interpreter;
	struct {
		u64 next, frame, native_id;
	} thread;
	struct {
		u64 previous, executable, owner;
	} frame;
	struct {
		u64 file, qualname, first_line;
	} code;
	struct {
		u64 type;
	} object;
	struct {
		u64 state, length, ascii_size;
	} text;
};

// False where it is not known.
INLINE int find_layout(u64 *table, struct layout *layout)
{
	u64 cookie = table[0], version = table[1], free_threaded = table[2];
	if (cookie != COOKIE || free_threaded || (version >> 4 & 0xf) != RELEASE)
		return 0;
	switch (version >> 16) {
	case 0x030d:
		*layout = (struct layout){.thread = 19, .native_id = 25, .frame = 28, .code = 34, .object = 44, .text = 67};
		return 1;
	case 0x030e:
		*layout = (struct layout){.thread = 22, .native_id = 28, .frame = 31, .code = 39, .object = 50, .text = 77};
		return 1;
	case 0x030f:
		*layout = (struct layout){.thread = 22, .native_id = 31, .frame = 39, .code = 47, .object = 58, .text = 89};
		return 1;
	}
	return 0;
}

// False where the last one read, the size of a text, is not what it is by its parts: then the layout is another one.
INLINE int find_offsets(u64 *table, struct layout *layout, struct offsets *at)
{
	u64 *thread = table + layout->thread, *frame = table + layout->frame, *code = table + layout->code;
	u64 *text = table + layout->text;
	at->interpreters.head = table[5];
	at->interpreter.next = table[8];
	at->interpreter.threads = table[9];
	at->thread.next = thread[2];
	at->thread.frame = thread[4];
	at->thread.native_id = table[layout->native_id];
	at->frame.previous = frame[1];
	at->frame.executable = frame[2];
	at->frame.owner = frame[5];
	at->code.file = code[1];
	at->code.qualname = code[3];
	at->code.first_line = code[5];
	at->object.type = table[layout->object + 1];
	at->text.state = text[1];
	at->text.length = text[2];
	at->text.ascii_size = text[3];
	return text[0] == at->text.ascii_size + COMPACT_TEXT_SIZE + POINTER_SIZE;
}
