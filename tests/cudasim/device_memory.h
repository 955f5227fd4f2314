/* device_memory: what cudaMalloc gives out.
 *
 * A device address lies in a range that the host can neither read nor write; the bytes are elsewhere, so a program that
 * mixes the two up faults. Addresses are never given out twice: an access to freed memory is seen. Beside the bytes lie,
 * for the checks, which of them were ever written, and who read and wrote each word last.
 */
#ifndef NAS_CUDASIM_DEVICE_MEMORY_H
#define NAS_CUDASIM_DEVICE_MEMORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who accessed a word last. Epochs are counted over everything: a launch, a block and a barrier begin a new one. */
typedef struct {
    uint32_t epoch;
    uint32_t who; /* collectives << 12 | warp << 6 | lane; 63: several */
} Stamp;
typedef struct {
    Stamp writer, reader;
} Cell;

typedef struct {
    uint64_t begin, end; /* device addresses */
    bool freed;
} Allocation;

uint64_t device_alloc(size_t bytes); /* 0: no room */
bool device_free(uint64_t address);  /* false: nothing begins there, or it is free already */
/* The living or dead allocation that holds the address, or 0. */
const Allocation *device_find(uint64_t address);
bool device_owns(const void *p); /* in the range of device addresses at all */
int64_t device_in_use(void);
int64_t device_capacity(void);

extern uint64_t device_base;
extern uint8_t *device_bytes, *device_valid; /* at address - device_base */
extern Cell *device_cell;                    /* at (address - device_base) / 4, or / 2: one launch knows */
extern uint32_t *device_touched;             /* for statistics: the launch that used the word last */
void device_open(void);
#endif
