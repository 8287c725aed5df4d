//go:build ignore

// The sampler for kernels before 6.10: what differs is in places.h.
#define PLACES
#include "sampler.bpf.c"
