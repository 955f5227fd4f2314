/* supernet: the continuous network of a search as a network of its own: which of its operations there are, its mixing
 * weights as constants. */
#ifndef NAS_SUPERNET_H
#define NAS_SUPERNET_H
#include "engine/engine.h"
#include "nn/network.h"
#include "train/netio.h"
#include "train/settings.h"

enum { SUPERNET_TABLES = 2 }; /* normal, reduce */

/* What a supernet is made of, as settings of its record: ops, nodes, inputs, concat; reduce_at, channel_share,
 * auxiliary_skip and kept where they are not the usual ones. */
void supernet_describe(Arena *perm, Settings *list, const Space *s, const NetSpec *n, const char *reduce_at);
/* Reads these again: share, auxiliary_skip and only of *n. Returns 0, or why not. */
const char *supernet_parts(Arena *perm, const NetworkRecord *r, const Space *s, NetSpec *n);

typedef struct {
    int64_t top;  /* keep so many operations of an edge, the heaviest; 0: all */
    double below; /* leave out what weighs less */
} Prune;
/* Which operations stay: n->only as it is, without those that Prune takes; none is not counted. Returns 0, or why not: a
 * node would have no input left. mixing: of the tables of the graph of s and n. */
const char *supernet_prune(Arena *perm, const Space *s, const NetSpec *n, const float *const *mixing, Prune p,
                           const uint8_t **only);
/* The record of a supernet, pruned (or as it is, with Prune {0}), and its weights, from those of *from and w, which stay as
 * they are; what they share stays shared. Returns 0, or why not. */
const char *supernet_pruned(Arena *perm, const NetworkRecord *from, const NetWeights *w, Prune p, NetworkRecord *out,
                            NetWeights *pruned);
/* A record of training, made by train_network(), becomes that of the supernet `like`: shape, and settings beside its own. */
void supernet_like(Arena *perm, const NetworkRecord *like, NetworkRecord *n);
/* The mixing weights into the engine; what weighs nothing is switched off. */
void supernet_mix(Engine *e, Arena scratch, const Graph *g, const float *const *mixing);
#endif
