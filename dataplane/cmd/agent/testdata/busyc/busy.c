// As busygo, in C: built with frame pointers.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile unsigned long sum;

__attribute__((noinline)) void heavy(long n)
{
	for (long i = 0; i < n; i++)
		sum += (unsigned long)i * i;
}

__attribute__((noinline)) void light(long n)
{
	for (long i = 0; i < n; i++)
		sum ^= (unsigned long)i << (i % 7);
}

static long used(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

__attribute__((noinline)) long burn(void (*work)(long), long nanoseconds)
{
	long start = used(), spent;
	do {
		work(1 << 20);
		spent = used() - start;
	} while (spent < nanoseconds);
	return spent;
}

int main(int argc, char **argv)
{
	long in_heavy = 0, in_light = 0, wanted = argc > 1 ? atol(argv[1]) * 1000000000L : 0;
	while (in_heavy + in_light < wanted) {
		in_heavy += burn(heavy, 70000000);
		in_light += burn(light, 30000000);
	}
	printf("{\"heavy\": %ld, \"light\": %ld}\n", in_heavy, in_light);
	return 0;
}
