/* device_memory: see device_memory.h. */
#include "device_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST = 1 << 16, ALIGN = 512 };
static const size_t capacity = (size_t)8 << 30;

uint64_t device_base;
uint8_t *device_bytes, *device_valid;
Cell *device_cell;
uint32_t *device_touched;
static Allocation table[MOST];
static int count;
static uint64_t top;
static int64_t in_use;

static void *reserve(size_t bytes, int protection)
{
    void *p = mmap(0, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "cudasim: %zu bytes of address space are not to be had\n", bytes);
        abort();
    }
    return p;
}

void device_open(void)
{
    if (device_base) return;
    device_base = top = (uint64_t)(uintptr_t)reserve(capacity, PROT_NONE);
    device_bytes = reserve(capacity, PROT_READ | PROT_WRITE);
    device_valid = reserve(capacity, PROT_READ | PROT_WRITE);
    device_cell = reserve(capacity / 2 * sizeof *device_cell, PROT_READ | PROT_WRITE);
    device_touched = reserve(capacity, PROT_READ | PROT_WRITE);
}

uint64_t device_alloc(size_t bytes)
{
    device_open();
    if (!bytes || count == MOST || bytes > capacity - (size_t)(top - device_base) - 2 * ALIGN) return 0;
    top += ALIGN; /* a gap: one past the end of a block belongs to none */
    table[count++] = (Allocation){top, top + bytes, false};
    uint64_t address = top;
    top = (top + bytes + ALIGN - 1) / ALIGN * ALIGN;
    in_use += (int64_t)bytes;
    return address;
}

const Allocation *device_find(uint64_t address)
{
    int low = 0, high = count; /* sorted by address, for they are given out upwards */
    while (low < high) {
        int middle = (low + high) / 2;
        if (table[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && table[low].begin <= address ? &table[low] : 0;
}

bool device_free(uint64_t address)
{
    Allocation *a = (Allocation *)device_find(address);
    if (!a || a->begin != address || a->freed) return false;
    a->freed = true;
    in_use -= (int64_t)(a->end - a->begin);
    uint64_t from = (a->begin - device_base + 4095) & ~4095ull, to = (a->end - device_base) & ~4095ull;
    if (to > from) {
        madvise(device_bytes + from, to - from, MADV_DONTNEED);
        madvise(device_valid + from, to - from, MADV_DONTNEED);
        madvise((char *)device_touched + from, to - from, MADV_DONTNEED);
        madvise((char *)device_cell + from * 4, (to - from) * 4, MADV_DONTNEED); /* at either place: of past launches */
        madvise((char *)device_cell + from * 8, (to - from) * 8, MADV_DONTNEED);
    }
    return true;
}

bool device_owns(const void *p)
{
    return device_base && (uint64_t)(uintptr_t)p - device_base < capacity;
}

int64_t device_in_use(void)
{
    return in_use;
}

int64_t device_capacity(void)
{
    return (int64_t)capacity;
}
