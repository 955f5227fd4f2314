/* export: trained networks for other programs, and weights from them. */
#ifndef NAS_EXPORT_H
#define NAS_EXPORT_H
#include "train/netio.h"

typedef struct {
    const NetworkRecord *net;
    const Graph *graph;
    const NetWeights *weights; /* complete */
} ExportNet;

#define EXPORT_ONNX_HELP                                                                                               \
    "Write the network as an ONNX model to FILE, input and predictions in the units of the data; of several networks " \
    "each to a file of its own, if FILE has {run} where their names are to stand."
#define EXPORT_NORMALISED_HELP                                                                                         \
    "Let the ONNX model take samples that are normalised already, and give predictions of standardised targets."

/* Each writes a file, or does nothing if `path` is "". {run} in it is the network's name, / becoming _; without that, a
 * second file (*written counts them) is refused. Returns 0, or why not; what the disk has against it ends the program
 * (cli_file_open). */
const char *export_onnx(Arena scratch, const char *path, const ExportNet *n, bool normalised, int64_t *written);
const char *export_npz(Arena scratch, const char *path, const ExportNet *n, int64_t *written);

/* Why `count` networks cannot have files of their own, or 0: to be asked before hours of training. */
const char *export_check(Arena *perm, const char *path, int64_t count);

/* Weights of a graph from an archive of NumPy arrays under the names of PyTorch's state_dict. "num_batches_tracked" is
 * passed over; kernels of series may lack the side of 1. Returns 0, or why not: the first array that is missing, that the
 * network does not have, or whose shape is another. */
const char *import_npz(Arena *perm, Arena scratch, const char *path, const Graph *g, NetWeights *out);
#endif
