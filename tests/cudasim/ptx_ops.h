/* ptx_ops: the handlers that are more than arithmetic; ptx_run.c has them. */
#ifndef NAS_CUDASIM_PTX_OPS_H
#define NAS_CUDASIM_PTX_OPS_H
#include "ptx.h"

void ptx_load_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_store_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_atomic_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_branch_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_return_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_barrier_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_warp_barrier_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_shuffle_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_vote_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_ballot_op(Warp *w, const Ins *i, uint32_t mask);
void ptx_active_op(Warp *w, const Ins *i, uint32_t mask);
#endif
