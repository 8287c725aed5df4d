// Where a cgroup lies: names and ids of it and of those above it.
#pragma once

enum { LEVELS = 10, NAME = 128 };

INLINE struct kernfs_node *above(struct kernfs_node *node)
{
	if (FIELD_EXISTS(node->__parent))
		return node->__parent;
	return ((struct kernfs_node___unhidden *)node)->parent;
}
