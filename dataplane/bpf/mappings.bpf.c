//go:build ignore

// The mappings of the processes that the agent asks for: what is executable, and what of a file cannot be written to.
#include "helpers.h"
#include "kernel.h"

enum { PATH = 256, ROOM = 30 << 10 };

// Followed by `path` bytes of the file's path. A mapping of the same file as the one before has none.
struct mapping {
	u64 start;
	u64 end;
	u64 offset; // in the file
	u64 inode;  // 0 for memory without a file
	u64 born;   // the process's start
	u64 program;
	u32 device;
	u32 tgid;
	u32 flags; // of the kernel's VM_ bits, the lowest four
	u32 path;  // 0 as well where it is too long
};

// What is left of the room stands here and not in a variable: the verifier would follow it round by round.
struct line {
	struct mapping mapping;
	char path[PATH];
	u64 room;
};

enum { SAME_FILE = 1 << 31 };

struct {
	UINT(type, HASH);
	UINT(max_entries, 1024);
	TYPE(key, u32);
	TYPE(value, u32);
} wanted SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct line);
} lines SEC(".maps");

SEC("iter/bpf_map_elem")
int list_mappings(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *out = context->meta->seq;
	u32 zero = 0, *key = context->key;
	if (!key)
		return 0;
	s32 tgid = *key;
	struct line *line = map_lookup(&lines, &zero);
	if (!line)
		return 0;
	struct task_struct *task = bpf_task_from_pid(tgid);
	if (!task)
		return 0;
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;
	u64 before = 0;
	line->room = ROOM;
	bpf_iter_task_vma_new(&it, task, 0);
	while ((vma = bpf_iter_task_vma_next(&it))) {
		struct file *file = vma->vm_file;
		u64 flags = vma->vm_flags;
		if (!(flags & VM_EXEC) && (!file || flags & (VM_WRITE | VM_SHARED)))
			continue;
		struct mapping mapping = {
			.start = vma->vm_start,
			.end = vma->vm_end,
			.born = task->start_boottime,
			.program = task->self_exec_id,
			.tgid = tgid,
			.flags = flags & 15,
		};
		long size = 0;
		if (file) {
			mapping.offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
			mapping.inode = file->f_inode->i_ino;
			mapping.device = file->f_inode->i_sb->s_dev;
			if ((u64)file == before)
				mapping.flags |= SAME_FILE;
			else
				size = path_of(&file->f_path, line->path, PATH);
		}
		before = (u64)file;
		if (size < 0 || size > PATH)
			size = 0;
		// More than one read can hold would make the whole read fail: the rest is left out.
		if (line->room < sizeof(mapping) + PATH)
			break;
		line->room -= sizeof(mapping) + size;
		mapping.path = size;
		line->mapping = mapping;
		seq_write(out, &line->mapping, sizeof(mapping));
		if (size > 0)
			seq_write(out, line->path, size);
	}
	bpf_iter_task_vma_destroy(&it);
	bpf_task_release(task);
	return 0;
}

char _license[] SEC("license") = "GPL";
