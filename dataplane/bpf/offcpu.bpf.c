//go:build ignore

// Blocked time, counted in the kernel: one entry per process and stack, read and emptied by the agent.
//
// A stack has to be taken when a thread leaves its CPU, before it is known for how long, and it is what costs
// (4.8 us a switch). So the lot is drawn before it, by how long the thread's waits have been until now (the root of
// their mean square: the best share of what is taken, Neyman's): below the threshold one of 2, 4, … of them is
// taken, and weighs as many. Whatever was expected, the chance is known when it is
// drawn, and its reciprocal is the weight: the seconds come out right on average. Their sum does not depend on luck:
// how long each wait was is known at its end whether it was taken or not, and costs nothing. So all time is summed by
// the length of the waits, and the agent brings what was taken of each length to that sum. And a wait of the threshold
// or more is never lost: the kernel's part of its stack still is there at its end.
#include "helpers.h"
#include "kernel.h"
#include "stack.h"

enum { CGROUP_LEVELS = 10, LENGTHS = 12, SHORTEST = 14 /* 2^14 ns */, US = 10, MAX_US = 1 << 30,
	RAREST = 8 /* one of 256 */ };
// Frames of this program and of __schedule. The agent cuts off what is left of them: another program adds one.
enum { SKIPPED = 3, SKIPPED_AT_END = 1 };
enum { INTERRUPTIBLE = 1, UNINTERRUPTIBLE = 2 }; // the kernel's TASK_ bits of who waits; not of who is stopped or dead

// What the agent says. It moves `until` on while it lives and somebody asks; past it the program idles.
struct control {
	u64 until;     // CLOCK_MONOTONIC
	u64 since;     // from when on it did so without a break: no wait that began before was watched to its end
	u64 threshold; // nanoseconds
};

struct block {
	u64 cgroup;
	u64 at;    // the one above it that asks
	u64 start; // of the process: its number may be given away again
	u64 user;  // stacks, by their hash; 0 for none
	u64 kernel;
	u64 program; // which of those that the process has been
	u32 tgid;
	u32 length;
};

struct blocked {
	u64 number;      // of waits whose stacks were taken
	u64 nanoseconds; // that they stand for
};

// All waits of a cgroup that asks, by their length: below 16 us, below 64, and so on.
struct all {
	u64 nanoseconds[LENGTHS];
};

// What is known of a thread.
struct pause {
	u64 since;  // 0 while it does not wait
	u64 square; // mean of its waits' squares, us * us, the latest of which count most; 0 before the first
	u32 rarity; // a power of two
	u32 taken;
	struct block block;
};

enum outcome { KEPT, TAKEN, LATE, LEFT_OUT, OFF, STALE, LOST_STATE, LOST_COUNT, LOST_STACK, TRUNCATED, OUTCOMES };

struct {
	UINT(type, ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct control);
} off_control SEC(".maps");

// The cgroups that ask: pods, for all that lies below them.
struct {
	UINT(type, HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, struct all);
} off_asked SEC(".maps");

// Ends with the thread. Only threads that are asked for have one.
struct {
	UINT(type, TASK_STORAGE);
	UINT(map_flags, NO_PREALLOC);
	TYPE(key, s32);
	TYPE(value, struct pause);
} pauses SEC(".maps");

struct {
	UINT(type, HASH);
	UINT(max_entries, 16384);
	TYPE(key, struct block);
	TYPE(value, struct blocked);
} off_counts SEC(".maps");

struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, struct stack);
} off_stacks SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, OUTCOMES);
	TYPE(key, u32);
	TYPE(value, u64);
} off_outcomes SEC(".maps");

INLINE void tell(u32 outcome)
{
	add_one(&off_outcomes, outcome);
}

// The cgroup of the thread that leaves, or one above it, that is asked for; 0 for none.
INLINE u64 asked(void)
{
	for (int level = CGROUP_LEVELS - 1; level > 0; level--) {
		u64 at = current_ancestor_cgroup(level);
		if (at && map_lookup(&off_asked, &at))
			return at;
	}
	return 0;
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
	enum taken taken = take_stack(context, flags, &off_stacks, &hash);
	return told(taken, hash);
}

// What can still be taken of a thread that waited: where it did in the kernel, not how it came there.
INLINE u64 take_late(struct task_struct *thread)
{
	u32 zero = 0;
	u64 hash;
	struct stack *stack = map_lookup(&scratch, &zero);
	if (!stack)
		return 0;
	long bytes = get_task_stack(thread, stack->frames, sizeof(stack->frames), SKIPPED_AT_END);
	enum taken taken = store_stack(stack, bytes, 0, &off_stacks, &hash);
	return told(taken, hash);
}

INLINE void name(struct block *block, struct task_struct *thread, u64 at)
{
	struct task_struct *leader = thread->group_leader;
	block->at = at;
	block->cgroup = thread->cgroups->dfl_cgrp->kn->id;
	block->start = leader->start_boottime;
	block->program = leader->self_exec_id;
	block->tgid = leader->tgid;
}

// The thread waits from now on. It still is the current one, so that its stacks can be taken.
INLINE void leaves(void *context, struct task_struct *thread, u64 now, u64 threshold)
{
	u64 at = asked();
	if (!at) {
		tell(OFF);
		return;
	}
	struct pause *pause = task_storage_get(&pauses, thread, 0, STORAGE_CREATE);
	if (!pause) {
		tell(LOST_STATE);
		return;
	}
	u64 square = pause->square, all = (threshold >> US) * (threshold >> US);
	u32 rarity = 0;
	for (; square && square < all && rarity < RAREST; square <<= 2)
		rarity++;
	pause->since = now;
	pause->block.at = at;
	pause->rarity = rarity;
	pause->taken = !(random() & ((1 << rarity) - 1));
	if (!pause->taken)
		return;
	name(&pause->block, thread, at);
	pause->block.user = take(context, USER_STACK);
	pause->block.kernel = take(context, SKIPPED);
	tell(TAKEN);
}

INLINE void count(struct block *block, u64 nanoseconds)
{
	struct blocked one = {1, nanoseconds};
	for (int attempt = 0; attempt < 2; attempt++) { // another CPU may add it between the two
		struct blocked *found = map_lookup(&off_counts, block);
		if (found) {
			__sync_fetch_and_add(&found->number, 1);
			__sync_fetch_and_add(&found->nanoseconds, nanoseconds);
			tell(KEPT);
			return;
		}
		if (!map_update(&off_counts, block, &one, NOEXIST)) {
			tell(KEPT);
			return;
		}
	}
	tell(LOST_COUNT);
}

INLINE u32 length_of(u64 nanoseconds)
{
	u32 length = 0;
	for (nanoseconds >>= SHORTEST; nanoseconds && length < LENGTHS - 1; nanoseconds >>= 2)
		length++;
	return length;
}

INLINE void expect(struct pause *pause, u64 us)
{
	if (us > MAX_US)
		us = MAX_US;
	u64 square = pause->square;
	square = square ? square - square / 64 + us * us / 64 : us * us;
	pause->square = square ? square : 1;
}

// The thread is on a CPU again.
INLINE void enters(struct task_struct *thread, u64 now, struct control *told)
{
	struct pause *pause = task_storage_get(&pauses, thread, 0, 0);
	if (!pause || !pause->since)
		return;
	u64 since = pause->since, spent = now - since;
	pause->since = 0;
	if (since < told->since)
		return; // it may have run in between
	expect(pause, spent >> US);
	struct all *all = map_lookup(&off_asked, &pause->block.at);
	if (!all) {
		tell(OFF); // no more
		return;
	}
	u32 length = length_of(spent);
	__sync_fetch_and_add(&all->nanoseconds[length], spent);
	pause->block.length = length;
	if (spent < told->threshold && !pause->taken) {
		tell(LEFT_OUT);
		return;
	}
	if (spent < told->threshold) {
		count(&pause->block, spent << pause->rarity);
		return;
	}
	if (!pause->taken) {
		name(&pause->block, thread, pause->block.at);
		pause->block.user = 0;
		pause->block.kernel = take_late(thread);
		tell(LATE);
	}
	count(&pause->block, spent); // for itself alone
}

SEC("tp_btf/sched_switch")
int off_cpu(u64 *context)
{
	u64 preempted = context[0], state = context[3];
	struct task_struct *leaving = (void *)context[1], *entering = (void *)context[2];
	u32 zero = 0;
	struct control *told = map_lookup(&off_control, &zero);
	if (!told || !told->until)
		return 0; // nobody asks
	u64 now = ktime_ns();
	if (now > told->until) {
		tell(STALE);
		return 0;
	}
	// Who is preempted waits for a CPU, not for anything else, whatever it was about to do.
	if (!preempted && state & (INTERRUPTIBLE | UNINTERRUPTIBLE))
		leaves(context, leaving, now, told->threshold);
	enters(entering, now, told);
	return 0;
}

char _license[] SEC("license") = "GPL";
