/* lanes4: the cpu kernels with blocks of 4 channels: for networks of so few channels that wider blocks would be mostly
 * padding (partial channels). */
#define LANES 4
#include "kernels/cpu/kernels_impl.h"
