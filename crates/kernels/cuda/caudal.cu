//! All kernels, as one translation unit: compile.py makes the embedded image of it, the emulation compiles it for the CPU.
#ifndef DYNAMIC_SHARED
// Dynamic shared memory, aligned for every type.
extern __shared__ __align__(16) unsigned char dynamic_shared[];
#define DYNAMIC_SHARED(type, name) type* name = (type*)dynamic_shared
#endif
#include "columns.cuh"
#include "count.cuh"
#include "hash.cuh"
#include "moments.cuh"
#include "normalize.cuh"
