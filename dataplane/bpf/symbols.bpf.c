//go:build ignore

// The kernel's functions by address. /proc/kallsyms shows zeros to whoever has no CAP_SYSLOG; a loaded program sees them.
#include "helpers.h"
#include "kernel.h"

enum { NAME = 128 };

// Followed by its name, `size` bytes with the 0 at the end.
struct symbol {
	u64 address;
	u32 size;
	u32 padding;
};

struct line {
	struct symbol symbol;
	char name[NAME];
};

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct line);
} lines SEC(".maps");

SEC("iter/ksym")
int list_symbols(struct bpf_iter__ksym *context)
{
	struct seq_file *out = context->meta->seq;
	struct kallsym_iter *found = context->ksym;
	u32 zero = 0;
	struct line *line = map_lookup(&lines, &zero);
	if (!found || !line)
		return 0;
	u8 type = found->type;
	if (type != 't' && type != 'T' && type != 'w' && type != 'W')
		return 0;
	long size = read_kernel_text(line->name, NAME, found->name);
	if (size <= 1 || size > NAME)
		return 0;
	line->symbol.address = found->value;
	line->symbol.size = size;
	seq_write(out, &line->symbol, sizeof(line->symbol));
	seq_write(out, line->name, size);
	return 0;
}

char _license[] SEC("license") = "GPL";
