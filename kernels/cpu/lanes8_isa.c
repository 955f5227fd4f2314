/* lanes8: the cpu kernels with blocks of 8 channels, for every instruction set. */
#define LANES 8
#include "kernels/cpu/kernels_impl.h"
