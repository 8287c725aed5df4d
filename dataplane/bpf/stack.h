// Stacks, kept by their hash. The maps are each object's own, this file's too.
#pragma once

enum { DEPTH = 127 };

struct stack {
	u64 depth;
	u64 frames[DEPTH];
};

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct stack);
} scratch SEC(".maps");

// One step of a hash.
INLINE u64 mixed(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
	return hash ^ hash >> 29;
}

enum taken { WHOLE, CUT_OFF, NOT_STORED };

// Stores what was taken; *at is its hash, or 0 where there is nothing.
INLINE enum taken store_stack(struct stack *stack, long bytes, u64 salt, void *stacks, u64 *at)
{
	*at = 0;
	if (bytes <= 0)
		return WHOLE;
	u64 depth = (u64)bytes / sizeof(u64), hash = depth + salt + 1;
	for (u32 i = 0; i < DEPTH; i++) {
		if (i >= depth)
			break;
		hash = mixed(hash, stack->frames[i]);
	}
	stack->depth = depth;
	*at = hash;
	if (!map_lookup(stacks, &hash) && map_update(stacks, &hash, stack, ANY))
		return NOT_STORED;
	return depth >= DEPTH ? CUT_OFF : WHOLE;
}

// Takes a stack of the running task.
INLINE enum taken take_stack(void *context, u64 flags, void *stacks, u64 *at)
{
	u32 zero = 0;
	struct stack *stack = map_lookup(&scratch, &zero);
	if (!stack) {
		*at = 0;
		return WHOLE;
	}
	return store_stack(stack, get_stack(context, stack->frames, sizeof(stack->frames), flags), flags & USER_STACK, stacks, at);
}
