// What the sampler does on kernels before 6.10. They neither list tasks and mappings for whoever is in a pid namespace of
// its own, nor read memory on request. So the kernel says itself which place of which file an address is, and the
// sampler notes where the cgroups lie that it meets.
#pragma once

#include "cgroups.h"

enum { USER_BUILD_ID = 1 << 11 };

// The kernel's struct bpf_stack_build_id.
struct place {
	s32 status; // 1 where the build id is known, 2 where the offset is an address
	u8 build_id[20];
	u64 offset; // in the file
};

struct placed {
	u64 depth;
	struct place frames[DEPTH];
};

struct named {
	u64 parent;
	u32 known; // the agent has read it, and said its rate if it has one
	u32 padding;
	char name[NAME];
};

// Four times as big as addresses are, so there is room for fewer.
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 4096);
	TYPE(key, u64);
	TYPE(value, struct placed);
} place_stacks SEC(".maps");

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct placed);
} placing SEC(".maps");

// By id. Those above one that runs are looked up with it, so they are not evicted before it.
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 8192);
	TYPE(key, u64);
	TYPE(value, struct named);
} cgroups SEC(".maps");

INLINE u64 take_user(void *context)
{
	u32 zero = 0;
	struct placed *placed = map_lookup(&placing, &zero);
	if (!placed)
		return 0;
	long bytes = get_stack(context, placed->frames, sizeof(placed->frames), USER_STACK | USER_BUILD_ID);
	if (bytes <= 0)
		return 0;
	u64 depth = (u64)bytes / sizeof(struct place), words = depth * 4, hash = depth + 1;
	u64 *word = (u64 *)placed->frames;
	for (u32 i = 0; i < DEPTH * 4; i++) {
		if (i >= words)
			break;
		hash = mixed(hash, word[i]);
	}
	placed->depth = depth;
	if (!map_lookup(&place_stacks, &hash) && map_update(&place_stacks, &hash, placed, ANY))
		tell(LOST_STACK);
	if (depth >= DEPTH)
		tell(TRUNCATED);
	return hash;
}

// The agent finds no interpreter where it cannot read memory.
INLINE u64 take_functions(struct sample UNUSED *sample)
{
	return 0;
}

// Notes the running task's cgroup and those above it; whether the agent knows it. The root has no name, and is known.
INLINE int meet(void)
{
	struct kernfs_node *node = current_task()->cgroups->dfl_cgrp->kn;
	int known = 1;
	for (int level = 0; level < LEVELS; level++) {
		struct kernfs_node *parent = above(node);
		if (!parent)
			break;
		u64 id = node->id;
		struct named *found = map_lookup(&cgroups, &id);
		if (!found) {
			struct named named = {.parent = parent->id};
			read_kernel_text(named.name, NAME, node->name);
			map_update(&cgroups, &id, &named, ANY);
		}
		if (level == 0)
			known = found && found->known;
		node = parent;
	}
	return known;
}
