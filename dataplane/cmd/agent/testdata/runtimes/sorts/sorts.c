// Sorts by the C library, whose qsort calls back: two comparisons, one heavier than the other, in turn.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile unsigned long sum;

__attribute__((noinline)) int heavy(const void *a, const void *b)
{
	for (long i = 0; i < 5000; i++)
		sum += (unsigned long)i * i;
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) int light(const void *a, const void *b)
{
	for (long i = 0; i < 5000; i++)
		sum ^= (unsigned long)i << (i % 7);
	return *(const int *)a - *(const int *)b;
}

static long used(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

static long sort(int (*compare)(const void *, const void *), long nanoseconds)
{
	int numbers[64];
	long start = used(), spent;
	do {
		for (int i = 0; i < 64; i++)
			numbers[i] = rand();
		qsort(numbers, 64, sizeof(numbers[0]), compare);
		spent = used() - start;
	} while (spent < nanoseconds);
	return spent;
}

int main(int argc, char **argv)
{
	long in_heavy = 0, in_light = 0, wanted = argc > 1 ? atol(argv[1]) * 1000000000L : 0;
	while (in_heavy + in_light < wanted) {
		in_heavy += sort(heavy, 70000000);
		in_light += sort(light, 30000000);
	}
	printf("{\"heavy\": %ld, \"light\": %ld}\n", in_heavy, in_light);
	return 0;
}
