//go:build ignore

// On-CPU samples, counted in the kernel: one entry per process, stack and rate, read and emptied by the agent.
//
// Whether a sample is kept is decided before its stack is taken: an excluded process costs a few map look-ups.
#include "helpers.h"
#include "kernel.h"
#include "stack.h"
#ifndef PLACES
#include "python.h"
#endif

enum { CGROUP_LEVELS = 10 };

// What the agent says. It moves `until` on while it lives; past it the program idles.
struct control {
	u64 until;   // CLOCK_MONOTONIC
	u32 base_hz; // of the perf events
	u32 padding;
};

struct sample {
	u64 cgroup;
	u64 start; // of the process: its number may be given away again
	u64 user;  // stacks, by their hash; 0 for none
	u64 kernel;
	u64 python; // keys of functions, not addresses
	u32 tgid;
	u32 hz; // at which it was kept: what one count weighs
	u64 program; // which of those that the process has been
	char comm[16];
};

enum outcome { KEPT, STALE, OFF, THINNED, LOST_COUNT, LOST_STACK, TRUNCATED, OUTCOMES };

struct {
	UINT(type, ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct control);
} control SEC(".maps");

// Samples per second and CPU by cgroup. The nearest ancestor's counts, so that a pod's holds for its containers;
// 0 is the rate of all others.
struct {
	UINT(type, HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, u32);
} rates SEC(".maps");

// What a thinned cgroup has gathered towards its next sample.
struct {
	UINT(type, LRU_PERCPU_HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, u32);
} turns SEC(".maps");

struct {
	UINT(type, HASH);
	UINT(max_entries, 16384);
	TYPE(key, struct sample);
	TYPE(value, u64);
} counts SEC(".maps");

// Kept from one reading to the next, and evicted by age: ids of bpf_get_stackid() would collide more and more.
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 16384);
	TYPE(key, u64);
	TYPE(value, struct stack);
} stacks SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, OUTCOMES);
	TYPE(key, u32);
	TYPE(value, u64);
} outcomes SEC(".maps");

INLINE void tell(u32 outcome)
{
	add_one(&outcomes, outcome);
}

// The rate of the running task; `*at` is the cgroup that it is declared for.
INLINE u32 rate(u64 *at)
{
	u64 other = 0;
	u32 *found = 0;
	for (int level = CGROUP_LEVELS - 1; level >= 0; level--) {
		*at = current_ancestor_cgroup(level);
		if (*at && (found = map_lookup(&rates, at)))
			return *found;
	}
	*at = 0;
	found = map_lookup(&rates, &other);
	return found ? *found : 0;
}

// Whether it is this sample's turn. Each CPU gathers for itself, so that nothing is locked.
INLINE int turn(u64 cgroup, u32 hz, u32 base_hz)
{
	if (hz >= base_hz)
		return 1;
	u32 *gathered = map_lookup(&turns, &cgroup);
	if (!gathered) {
		u32 start = hz;
		map_update(&turns, &cgroup, &start, ANY);
		return 0;
	}
	*gathered += hz;
	if (*gathered < base_hz)
		return 0;
	*gathered -= base_hz;
	return 1;
}

INLINE u64 told(enum taken taken, u64 hash)
{
	if (taken == CUT_OFF)
		tell(TRUNCATED);
	if (taken == NOT_STORED)
		tell(LOST_STACK);
	return hash;
}

INLINE u64 take(void *context, u64 flags)
{
	u64 hash;
	enum taken taken = take_stack(context, flags, &stacks, &hash);
	return told(taken, hash);
}

#ifdef PLACES
#include "places.h"
#else
INLINE u64 take_user(void *context)
{
	return take(context, USER_STACK);
}

INLINE u64 take_functions(struct sample *sample)
{
	struct program process = {.start = sample->start, .program = sample->program, .tgid = sample->tgid};
	enum taken taken;
	u64 hash = take_python(&process, &stacks, &taken);
	return told(taken, hash);
}

INLINE int meet(void)
{
	return 1;
}
#endif

SEC("perf_event")
int on_cpu(void *context)
{
	u32 zero = 0, tgid = current_pid_tgid() >> 32;
	u64 at, one = 1;
	if (!tgid)
		return 0; // idle
	struct control *told = map_lookup(&control, &zero);
	if (!told || ktime_ns() > told->until) {
		tell(STALE);
		return 0;
	}
	int known = meet();
	u32 base_hz = told->base_hz, hz = rate(&at);
	if (!hz || (!at && !known)) { // it may be in a pod that is excluded
		tell(OFF);
		return 0;
	}
	if (hz > base_hz)
		hz = base_hz; // more than is taken cannot be kept
	if (!turn(at, hz, base_hz)) {
		tell(THINNED);
		return 0;
	}
	struct sample sample = {.cgroup = current_cgroup(), .tgid = tgid, .hz = hz};
	struct task_struct *leader = current_task()->group_leader;
	sample.start = leader->start_boottime;
	sample.program = leader->self_exec_id;
	current_comm(sample.comm, sizeof(sample.comm));
	sample.user = take_user(context);
	sample.kernel = take(context, 0);
	sample.python = take_functions(&sample);
	for (int attempt = 0; attempt < 2; attempt++) { // another CPU may add it between the two
		u64 *count = map_lookup(&counts, &sample);
		if (count) {
			__sync_fetch_and_add(count, 1);
			tell(KEPT);
			return 0;
		}
		if (!map_update(&counts, &sample, &one, NOEXIST)) {
			tell(KEPT);
			return 0;
		}
	}
	tell(LOST_COUNT);
	return 0;
}

char _license[] SEC("license") = "GPL";
