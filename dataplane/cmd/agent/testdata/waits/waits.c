// Waits in one way for some seconds, and says how long it was off the CPU: its time less its CPU time.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
#define BLOCK 4096
#define BLOCKS 4096

static long at(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

// libc has no frame pointers: of whoever calls it the frame is skipped, and main's is seen.
#define CALLED __attribute__((noinline)) static

CALLED void sleeps(long nanoseconds)
{
	struct timespec wanted = {nanoseconds / SECOND, nanoseconds % SECOND};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, 0);
}

// A pipe into which a child writes a byte now and then.
static int fed(void)
{
	int ends[2];
	if (pipe(ends))
		exit(1);
	if (fork())
		return close(ends[1]), ends[0];
	close(ends[0]);
	do
		sleeps(20000000);
	while (write(ends[1], "", 1) == 1);
	exit(0);
}

// A file of which nothing is in memory; -1 where the file system does not read past its cache.
static int stored(const char *path)
{
	static char block[BLOCK];
	memset(block, 'x', sizeof(block));
	int file = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < BLOCKS; i++)
		if (write(file, block, sizeof(block)) != sizeof(block))
			exit(1);
	if (fsync(file) || close(file))
		exit(1);
	return open(path, O_RDONLY | O_DIRECT);
}

// Three naps of four are taken here, and one there: as long, and apart in the stack alone.
CALLED void often(long *spent)
{
	long start = at(CLOCK_MONOTONIC);
	for (int i = 0; i < 3; i++)
		sleeps(200000);
	*spent += at(CLOCK_MONOTONIC) - start;
}

CALLED void seldom(long *spent)
{
	long start = at(CLOCK_MONOTONIC);
	sleeps(200000);
	*spent += at(CLOCK_MONOTONIC) - start;
}

CALLED void reads_pipe(int from, char *block)
{
	if (read(from, block, 1) != 1)
		exit(1);
}

CALLED void reads_disk(int from, char *block)
{
	if (pread(from, block, BLOCK, (off_t)(random() % BLOCKS) * BLOCK) != BLOCK)
		exit(1);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 1;
	const char *how = argv[1];
	long waits = 0, in_often = 0, in_seldom = 0, seconds = atol(argv[2]);
	int spins = !strcmp(how, "spin"), pipe = !strcmp(how, "pipe") ? fed() : -1;
	int disk = !strcmp(how, "disk") ? stored(argv[3]) : -1;
	if (!strcmp(how, "disk") && disk < 0) {
		printf("{\"blocked\": -1}\n");
		return 0;
	}
	// Who is preempted is off the CPU by its own account, and does not wait: spinners preempt their own kind alone.
	if (nice(spins ? 40 : -40) == -1 && spins)
		return 1;
	char *block = aligned_alloc(BLOCK, BLOCK);
	long start = at(CLOCK_MONOTONIC), used = at(CLOCK_PROCESS_CPUTIME_ID);
	while ((spins ? at(CLOCK_PROCESS_CPUTIME_ID) - used : at(CLOCK_MONOTONIC) - start) < seconds * SECOND) {
		if (spins)
			continue;
		if (pipe >= 0)
			reads_pipe(pipe, block);
		else if (disk >= 0)
			reads_disk(disk, block);
		else if (!strcmp(how, "long"))
			sleeps(50000000);
		else
			often(&in_often), seldom(&in_seldom), waits += 3;
		waits++;
	}
	long blocked = at(CLOCK_MONOTONIC) - start - (at(CLOCK_PROCESS_CPUTIME_ID) - used);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"blocked\": %ld, \"waits\": %ld, \"preempted\": %ld, \"often\": %ld, \"seldom\": %ld}\n", blocked, waits,
	       usage.ru_nivcsw, in_often, in_seldom);
	return 0;
}
