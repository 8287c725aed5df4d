//go:build ignore

// Reads memory of a process, but only what every reader of its program's files could read as well: private mappings of a
// file that cannot be written to. Heaps, stacks, data and shared memory are refused: reading those would be the
// capability SYS_PTRACE by another name for whoever reaches this program.
#include "helpers.h"
#include "kernel.h"

enum { SIZE = 64 << 10, REFUSED = -13, GONE = -3 };

struct question {
	u64 address;
	u64 born; // the process's start: a number given away again is another process
	u64 program; // likewise, after an exec
	u32 tgid;
	u32 size;
};

struct answer {
	char data[SIZE];
};

struct {
	UINT(type, ARRAY);
	UINT(max_entries, 1);
	UINT(map_flags, MMAPABLE); // the agent looks at it where it is
	TYPE(key, u32);
	TYPE(value, struct answer);
} answers SEC(".maps");

INLINE int open_to_all(struct task_struct *task, u64 from, u64 to)
{
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;
	int yes = 0;
	bpf_iter_task_vma_new(&it, task, from);
	if ((vma = bpf_iter_task_vma_next(&it)))
		yes = vma->vm_file && !(vma->vm_flags & (VM_WRITE | VM_SHARED)) && vma->vm_start <= from && to <= vma->vm_end;
	bpf_iter_task_vma_destroy(&it);
	return yes;
}

SEC("syscall")
int read_memory(struct question *question)
{
	u32 zero = 0;
	u64 address = question->address, size = question->size, born = question->born, program = question->program;
	struct answer *answer = map_lookup(&answers, &zero);
	if (!answer || !size || size > SIZE)
		return REFUSED;
	struct task_struct *task = bpf_task_from_pid(question->tgid);
	if (!task)
		return GONE;
	long result = GONE;
	if (task->start_boottime == born && task->self_exec_id == program) {
		result = REFUSED;
		if (open_to_all(task, address, address + size))
			result = copy_from_task(answer->data, size, (void *)address, task, 0);
	}
	bpf_task_release(task);
	return result;
}

char _license[] SEC("license") = "GPL";
