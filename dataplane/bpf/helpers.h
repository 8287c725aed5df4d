// What a BPF program calls and how it declares a map: the few of the kernel's helpers and kfuncs that are used here,
// by the numbers and names of its uapi header and its BTF.
#pragma once

struct path;
struct seq_file;
struct task_struct;
struct vm_area_struct;

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define UNUSED __attribute__((unused))
#define KSYM __attribute__((section(".ksyms")))
#define INLINE static inline __attribute__((always_inline))
#define COUNT(x) (sizeof(x) / sizeof((x)[0]))
#define FIELD_EXISTS(field) __builtin_preserve_field_info(field, 2)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(typeof(type) *)0, 1)

// Members of a map's declaration: their types carry the numbers.
#define UINT(name, value) int(*name)[value]
#define TYPE(name, type) typeof(type) *name

enum map_type { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6, LRU_HASH = 9, LRU_PERCPU_HASH = 10, TASK_STORAGE = 29 };
enum { ANY = 0, NOEXIST = 1 };
#define MMAPABLE 1024
enum { NO_PREALLOC = 1, STORAGE_CREATE = 1 };
enum { USER_STACK = 1 << 8 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*ktime_ns)(void) = (void *)5;
static u32 (*random)(void) = (void *)7;
static u64 (*current_pid_tgid)(void) = (void *)14;
static long (*current_comm)(void *to, u32 size) = (void *)16;
static long (*get_stack)(void *context, void *to, u32 size, u64 flags) = (void *)67;
static u64 (*current_cgroup)(void) = (void *)80;
static long (*read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*read_kernel_text)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*current_ancestor_cgroup)(int level) = (void *)123;
static long (*seq_write)(struct seq_file *to, const void *data, u32 size) = (void *)127;
static long (*get_task_stack)(struct task_struct *task, void *to, u32 size, u64 flags) = (void *)141;
static long (*path_of)(struct path *path, char *to, u32 size) = (void *)147;
static void *(*task_storage_get)(void *map, struct task_struct *task, void *initial, u64 flags) = (void *)156;
static struct task_struct *(*current_task)(void) = (void *)158;
static long (*loop)(u32 times, long (*step)(u32 index, void *context), void *context, u64 flags) = (void *)181;
static long (*copy_from_task)(void *to, u32 size, const void *from, struct task_struct *task, u64 flags) = (void *)191;

// Raises a counter of a PERCPU_ARRAY by one.
INLINE void add_one(void *counters, u32 which)
{
	u64 *found = map_lookup(counters, &which);
	if (found)
		(*found)++;
}

// Open-coded iterators keep their state on the program's stack.
struct bpf_iter_task {
	u64 opaque[3];
} __attribute__((aligned(8)));

struct bpf_iter_task_vma {
	u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) KSYM;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) KSYM;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) KSYM;

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 addr) KSYM;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) KSYM;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) KSYM;

extern struct task_struct *bpf_task_from_pid(s32 pid) KSYM;
extern void bpf_task_release(struct task_struct *task) KSYM;
extern void bpf_rcu_read_lock(void) KSYM;
extern void bpf_rcu_read_unlock(void) KSYM;
