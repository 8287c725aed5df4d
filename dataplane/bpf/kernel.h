// The kernel's structs, as far as they are read here. Offsets are found at load time in the running kernel's BTF
// (CO-RE), so that only names and types of members count, not their order.
#pragma once

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;
struct bpf_map;
struct dentry;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct kallsym_iter {
	unsigned long value;
	char type;
	char name[512];
};

struct bpf_iter__ksym {
	struct bpf_iter_meta *meta;
	struct kallsym_iter *ksym;
};

struct kernfs_node {
	struct kernfs_node *__parent;
	const char *name;
	u64 id;
};

// Before Linux 6.15.
struct kernfs_node___unhidden {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

// A number of a process or thread in one pid namespace, and all that it has, its own namespace's last.
struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct task_struct {
	int tgid;
	u64 start_boottime;
	u64 self_exec_id; // how often it has become another program
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct css_set *cgroups;
	struct pid *thread_pid;
	unsigned int flags;
};

struct path {
	struct dentry *dentry;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

#pragma clang attribute pop

enum { VM_WRITE = 2, VM_EXEC = 4, VM_SHARED = 8, PAGE_SHIFT = 12 };
