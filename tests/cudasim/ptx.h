/* ptx: kernels as nvcc compiled them to PTX, decoded once and run on the CPU, a warp of 32 lanes at a time.
 *
 * The instruction set is NVIDIA's "Parallel Thread Execution ISA". What is not implemented is refused when the module is
 * loaded, with the line: nothing is skipped. A virtual register is an array of 32 lanes; an instruction is one loop over
 * these. Lanes that part at a branch become fragments with a program counter each; the one that is furthest behind runs,
 * so they meet again where the compiler lets the paths meet.
 */
#ifndef NAS_CUDASIM_PTX_H
#define NAS_CUDASIM_PTX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 32, MAX_WARPS = 32 };
#define ALL_LANES 0xffffffffu

typedef enum { SPACE_GENERIC, SPACE_GLOBAL, SPACE_SHARED, SPACE_LOCAL, SPACE_PARAM, SPACE_CONST } Space;
typedef enum { T_U8, T_S8, T_U16, T_S16, T_U32, T_S32, T_U64, T_S64, T_F32, T_F64, T_PRED, T_NONE } Type;

typedef struct Ins Ins;
typedef struct Warp Warp;
typedef void (*InsFn)(Warp *w, const Ins *i, uint32_t mask);

/* Registers are named by their first word in the warp's file: 32 words for up to 32 bits, 64 for 64 bits. Predicates are
 * one word, a bit a lane. */
struct Ins {
    InsFn run;
    uint32_t d[4], a[4]; /* destinations and sources; of a load or store: values in d, address in a[0] */
    int32_t guard;       /* predicate word, -1: none */
    bool negate, conflict;
    uint8_t width, vector, extra, wide; /* bytes of an access; elements; what the handler needs; 64-bit address */
    uint8_t flops;                      /* of a lane; a multiply-add is two */
    Space space;
    Type type, from;
    int64_t offset;
    int32_t target; /* of a branch */
    int32_t source; /* line of the PTX text */
    int32_t loc;    /* line << 8 | file of the CUDA source; 0: unknown */
};

typedef struct {
    uint32_t at; /* in the file */
    bool wide;
    uint64_t value;
} Constant;

typedef struct {
    char *name;
    uint32_t offset, size;
} Symbol;

typedef struct {
    char *name;
    Symbol param[64];
    int params, param_bytes;
    Symbol symbol[64]; /* of shared and local memory */
    int symbols;
    uint32_t shared_bytes, local_bytes;
    bool narrow; /* some access to memory is of less than 4 bytes */
    Ins *code;
    int32_t count;
    uint32_t file_words;
    Constant *constant;
    int constants;
    uint32_t special[16]; /* words of %tid.x … (ptx_special), 0: not used */
    int64_t launches, blocks, threads;
    /* statistics: what every access of a warp asked for, and the least that would have served it */
    int64_t warp_instructions, lane_instructions, flops;
    int64_t words;                                         /* of global memory, each counted once a launch */
    int64_t sectors, least_sectors, requests;              /* global memory, 32 bytes a sector */
    int64_t wavefronts, least_wavefronts, shared_requests; /* shared memory, 32 banks of 4 bytes */
} Kernel;

typedef struct {
    Kernel **kernel;
    int kernels;
    char *file[64];
} Module;

/* Ends with a message and 0 if anything in the text is not understood. `text` is kept. */
Module *ptx_load(const char *text, char *error, size_t room);

enum { SP_TID = 0, SP_NTID = 3, SP_CTAID = 6, SP_NCTAID = 9, SP_LANE = 12, SP_WARP = 13, SP_COUNT };

/* ---- decoding asks this of the interpreter: a handler for "mul.wide.s32" …, or 0 ---- */
typedef struct {
    const char *key;
    InsFn run;
    const char *shape; /* kinds of the operands: destination(s), then sources: b 32 bits, l 64 bits, p predicate */
    uint8_t extra;
} OpRow;
const OpRow *ptx_op(const char *key);

/* ---- running ---- */
typedef struct {
    uint32_t pc, mask;
    bool waiting; /* at a collective that other lanes must reach */
} Fragment;

struct Warp {
    uint32_t *file;
    uint32_t pc, mask; /* of the fragment that runs */
    uint32_t next;     /* lowest program counter of another fragment that could run */
    uint32_t live;     /* lanes that have not returned */
    Fragment other[LANES];
    int others;
    int index;            /* within the block */
    uint32_t collectives; /* passed since the block's last barrier: lanes are ordered by them */
    bool done, at_barrier;
    uint8_t *local, *local_valid;
    struct Launch *launch;
};

typedef struct Launch {
    const Module *module;
    Kernel *kernel;
    uint32_t grid[3], block[3], shared_bytes; /* static and dynamic */
    const uint8_t *param;
    bool checked, statistics;
    int order; /* of warps and blocks: 0 forward, 1 backward, 2 shuffled */
} Launch;

/* Returns 0, or what went wrong, with kernel, block, thread and line. */
const char *ptx_run(Launch *l);

/* Addresses of one block's shared and local memory as generic addresses; parameters likewise. */
#define WINDOW_SHARED 0x100000000000ull
#define WINDOW_LOCAL  0x200000000000ull
#define WINDOW_PARAM  0x300000000000ull
#define WINDOW_BYTES  0x000001000000ull
#endif
