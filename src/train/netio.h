/* netio: networks and their weights, to and from records. A NetworkRecord is all that is needed to build a graph again;
 * its tensors are one record each, under the names of the graph. */
#ifndef NAS_NETIO_H
#define NAS_NETIO_H
#include "data/dataset.h"
#include "nn/network.h"
#include "nn/space.h"

extern const char netio_genotype[], netio_supernet[]; /* NetworkRecord.net of derived nets and of supernets */

/* Shape, task, name and normalisation of the data that the net is for. */
void netio_fit(NetworkRecord *n, const DatasetInfo *d);
/* The graph of a derived net, a hand-designed one or a supernet. 0 and *why: unknown net, genotype that cannot be read, misfit. */
Graph *netio_build(Arena *perm, const NetworkRecord *n, const char **why);
/* The space of a supernet. Returns 0, or why not. */
const char *netio_space(Arena *perm, const NetworkRecord *n, Space *out);
NetworkRecord netio_copy(Arena *perm, const NetworkRecord *n); /* of a record whose memory will go */
/* Why a network was not trained on samples normalised as these are, or 0. */
const char *netio_normalised(const NetworkRecord *n, const DatasetInfo *d);
/* Why a network does not fit this data, or 0. */
const char *netio_mismatch(Arena *perm, const NetworkRecord *n, const DatasetInfo *d);

/* One record a parameter, and two a normalisation: "<norm>.running_mean", "<norm>.running_var". */
/* mixing: of each table of the graph, written as "mixing.<table>"; 0 where it has none. */
void netio_write(Writer *out, Arena scratch, const Graph *g, const char *run, const char *set, const float *weights,
                 const float *stats, const float *const *mixing);

/* The tensors of a graph in the order in which they are written, counted from 0. */
typedef struct {
    const char *name;
    const int64_t *shape;
    int rank;
    int64_t count;
    const float *data;
} NetTensor;
int64_t netio_tensors(const Graph *g);
/* data is 0 where the block that it lies in is. */
NetTensor netio_tensor(Arena *perm, const Graph *g, int64_t i, const float *weights, const float *stats,
                       const float *const *mixing);

typedef struct { /* the weights of one set, as they come in */
    const char *set;
    const Graph *graph;     /* that they are of */
    float *weights, *stats; /* 0 until the first tensor */
    float **mixing;         /* of every table of the graph */
    bool *have;             /* params, then mean and variance of every normalisation, then tables */
    int64_t count;
} NetWeights;
/* Takes a tensor over. Returns 0, or why it is none of this graph's. */
const char *netio_take(Arena *perm, const Graph *g, const TensorRecord *t, NetWeights *w);
/* A hash of all values, as text. */
const char *netio_digest(Arena *perm, const NetWeights *w);
/* Is this tensor of a supernet one of its raw alphas, which are no part of the network? */
bool netio_is_alpha(const char *name);
/* The name of a tensor that is missing, or 0. */
const char *netio_missing(Arena *perm, const Graph *g, const NetWeights *w);
#endif
