// Has the symbols of CPython and its table of offsets as 3.14 lays it out, in which the version, whether it is free-threaded
// and the size of a text are as told. The table leads nowhere: who follows it reads nothing.
#include <stdlib.h>

unsigned long long _PyRuntime[128] = {0x7970677562656478};
unsigned long long PyCode_Type[1];

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	_PyRuntime[80] = 40;
	_PyRuntime[77] = strtoull(argv[3], NULL, 0);
	_PyRuntime[2] = strtoull(argv[2], NULL, 0);
	_PyRuntime[1] = strtoull(argv[1], NULL, 0);
	for (;;)
		__asm__ volatile("");
}
