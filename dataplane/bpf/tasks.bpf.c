//go:build ignore

// All processes of the node with the names of their cgroups, whatever pid namespace the reader is in.
//
// The kernel's own task iterator shows only the reader's namespace; an iterator over a map does not care, and walks the
// tasks itself. What one element prints must fit 32 KiB, so the processes are spread over the elements of an array.
#include "helpers.h"
#include "kernel.h"
#include "cgroups.h"

enum { SLOTS = 256 };

// Followed by its cgroup and that one's ancestors below the root: the id, then the name, ended by 0. An id of 0 ends them.
struct task {
	u64 start; // CLOCK_BOOTTIME
	u64 program;
	u32 tgid;
	u32 parent;
	u32 flags; // the kernel's PF_ bits
	u32 padding;
	char comm[16];
};

struct line {
	struct task task;
	char name[NAME];
};

struct {
	UINT(type, ARRAY);
	UINT(max_entries, SLOTS);
	TYPE(key, u32);
	TYPE(value, u32);
} slots SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct line);
} lines SEC(".maps");

INLINE void print(struct seq_file *out, struct task_struct *found, struct line *line)
{
	struct kernfs_node *node = found->cgroups->dfl_cgrp->kn;
	line->task = (struct task){
		.start = found->start_boottime,
		.program = found->self_exec_id,
		.tgid = found->tgid,
		.parent = found->real_parent->tgid,
		.flags = found->flags,
	};
	__builtin_memcpy(line->task.comm, found->comm, sizeof(found->comm));
	seq_write(out, &line->task, sizeof(line->task));
	for (int level = 0; level < LEVELS; level++) {
		long size = read_kernel_text(line->name, NAME, node->name);
		if (size <= 1 || size > NAME) // the root has no name
			break;
		u64 id = node->id;
		seq_write(out, &id, sizeof(id));
		seq_write(out, line->name, size);
		node = above(node);
		if (!node)
			break;
	}
	u64 end = 0;
	seq_write(out, &end, sizeof(end));
}

SEC("iter/bpf_map_elem")
int list_tasks(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *out = context->meta->seq;
	u32 zero = 0, *key = context->key;
	if (!key)
		return 0;
	u32 slot = *key;
	struct line *line = map_lookup(&lines, &zero);
	if (!line)
		return 0;
	struct bpf_iter_task it;
	struct task_struct *found;
	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	while ((found = bpf_iter_task_next(&it)))
		if ((u32)found->tgid % SLOTS == slot)
			print(out, found, line);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

char _license[] SEC("license") = "GPL";
