// libFuzzer has no header of its own for this (https://llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library").
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*test)(const uint8_t *start, size_t size));
