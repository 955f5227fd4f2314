/* ONNX models and archives of NumPy arrays. What ONNX Runtime says of the models is tested by exchange.bats. */
#include "check.h"
#include "exchange/npz.h"
#include "exchange/onnx.h"
#include "nn/network.h"
#include "onnx/onnx.pb-c.h"

static Arena perm;

static Onnx__ModelProto *packed(const Graph *g)
{
    float *weights = NEW(&perm, float, g->weight_count + 1), *stats = NEW(&perm, float, g->stat_floats + 1);
    graph_init(g, 1, weights, stats);
    const float **mixing = NEW(&perm, const float *, g->table_count + 1);
    for (int32_t t = 0; t < g->table_count; t++) {
        float *w = NEW(&perm, float, g->tables[t].count);
        for (int64_t i = 0; i < g->tables[t].count; i++) w[i] = 0.25f * (float)(i % 3); /* a third of them 0 */
        mixing[t] = w;
    }
    OnnxModel m = {
        .graph = g, .weights = weights, .stats = stats, .mixing = mixing, .channels = 3, .height = 9, .width = 10};
    m.name = m.description = m.version = "test";
    const void *bytes;
    int64_t n;
    const char *why = onnx_pack(&perm, &m, &bytes, &n);
    CHECK_STR(why, 0);
    return why ? 0 : onnx__model_proto__unpack(0, (size_t)n, bytes);
}

static bool in_list(char **list, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(list[i], name)) return true;
    return false;
}

/* Every node reads what is there before it; names are unique; every constant is read, and as large as its shape. */
static void check_model(Onnx__ModelProto *m)
{
    if (!m) return;
    Onnx__GraphProto *g = m->graph;
    char **known = NEW(&perm, char *, g->n_node + g->n_initializer + 1);
    bool *used = NEW(&perm, bool, g->n_initializer);
    int64_t n = 0, faults = 0;
    known[n++] = g->input[0]->name;
    for (size_t i = 0; i < g->n_initializer; i++) {
        const Onnx__TensorProto *t = g->initializer[i];
        int64_t count = 1;
        for (size_t k = 0; k < t->n_dims; k++) count *= t->dims[k];
        faults += in_list(known, n, t->name);
        faults += (int64_t)t->raw_data.len != count * (t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ? 8 : 4);
        known[n++] = t->name;
    }
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_input; k++) {
            faults += !in_list(known, n, g->node[i]->input[k]);
            for (size_t c = 0; c < g->n_initializer; c++)
                used[c] |= !strcmp(g->initializer[c]->name, g->node[i]->input[k]);
        }
        faults += in_list(known, n, g->node[i]->output[0]);
        known[n++] = g->node[i]->output[0];
    }
    for (size_t c = 0; c < g->n_initializer; c++) faults += !used[c];
    faults += !in_list(known, n, "logits") + !in_list(known, n, "predictions");
    CHECK_EQ(faults, 0);
    onnx__model_proto__free_unpacked(m, 0);
}

static NetSpec spec(void)
{
    return (NetSpec){.input_channels = 3,
                     .height = 9,
                     .width = 10,
                     .outputs = 4,
                     .channels = 4,
                     .layers = 3,
                     .reduce_count = -1,
                     .stem_multiplier = 3};
}

static void test_models(void)
{
    static const char *const names[] = {"linear", "small-cnn", "resnet-tiny", "vgg-11", "googlenet", "densenet-bc-40"};
    NetSpec n = spec();
    const char *why;
    for (int i = 0; i < COUNTOF(names); i++) {
        Graph *g = network_named(&perm, names[i], &n, &why);
        CHECK_MSG(g, "%s: %s", names[i], why);
        check_model(packed(g));
    }
    Genotype t;
    CHECK(!genotype_parse(&perm, genotype_find("DARTS_V2")->text, &t));
    check_model(packed(network_genotype(&perm, &t, &n)));
    Space s;
    CHECK(!space_make(&perm, "darts", 2, 2, 2, &s));
    check_model(packed(network_supernet(&perm, &s, &n)));
    n.share = 2;
    n.auxiliary_skip = true;
    check_model(packed(network_supernet(&perm, &s, &n)));
}

static void test_losses(void)
{
    static const Question questions[] = {{0, 2, -1}, {2, 2, 0}};
    NetSpec n = spec();
    const char *why;
    for (int loss = 0; loss < LOSS_KIND_COUNT; loss++)
        for (int divisive = 0; divisive < 2; divisive++) {
            n.loss = (LossKind)loss;
            n.detail = (LossDetail){.question = questions, .questions = 2, .divisive = divisive};
            check_model(packed(network_named(&perm, "resnet-tiny", &n, &why)));
        }
}

static void test_noise(void)
{
    Graph *g = graph_new(&perm);
    Value x = graph_input(g, 3, 9, 10);
    graph_head(g, graph_noise(g, x, 1, 1, "the.noise"), 4, "fc");
    float weights[16] = {0}, stats[1] = {0};
    const void *bytes;
    int64_t n;
    OnnxModel m = {.graph = g, .weights = weights, .stats = stats, .channels = 3, .height = 9, .width = 10};
    CHECK_CONTAINS(onnx_pack(&perm, &m, &bytes, &n), "the.noise");
}

/* Writes the bytes into a file; its path. */
static const char *file_of(const void *bytes, int64_t n)
{
    static char path[] = "/tmp/test_exchange.XXXXXX";
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, bytes, (size_t)n) == n);
    close(fd);
    return path;
}

static void test_npz(void)
{
    static const float values[6] = {1, -2, 3.5f, 0, 1e30f, -0.f};
    const NpzArray arrays[] = {
        {.name = "a.weight", .head = {.rank = 2, .shape = {2, 3}, .count = 6}, .data = values},
        {.name = "one", .head = {.rank = 1, .shape = {1}, .count = 1}, .data = values + 1},
        {.name = "number", .head = {.rank = 0, .count = 1}, .data = values + 2},
        {.name = "kernel", .head = {.rank = 4, .shape = {1, 2, 1, 3}, .count = 6}, .data = values}};
    const void *bytes, *again;
    int64_t n, m, count;
    CHECK_STR(npz_pack(&perm, arrays, COUNTOF(arrays), &bytes, &n), 0);
    CHECK_STR(npz_pack(&perm, arrays, COUNTOF(arrays), &again, &m), 0);
    CHECK(n == m && !memcmp(bytes, again, (size_t)n));
    const char *path = file_of(bytes, n);
    NpzArray *in;
    CHECK_STR(npz_read(&perm, path, 1 << 20, &in, &count), 0);
    CHECK_EQ(count, COUNTOF(arrays));
    for (int i = 0; i < COUNTOF(arrays); i++) {
        CHECK_STR(in[i].name, arrays[i].name);
        CHECK_EQ(in[i].head.rank, arrays[i].head.rank);
        CHECK(!memcmp(in[i].head.shape, arrays[i].head.shape, (size_t)in[i].head.rank * sizeof(int64_t)));
        CHECK(!memcmp(in[i].data, arrays[i].data, (size_t)arrays[i].head.count * sizeof(float)));
    }
    CHECK_CONTAINS(npz_read(&perm, path, 100, &in, &count), "a.weight: 152 bytes, where 100 would be many");
    unlink(path);
    int64_t refused = 0;
    for (int64_t cut = 0; cut < n; cut += 7) { /* a part of it is no archive */
        path = file_of(bytes, cut);
        refused +=
            npz_read(&perm, path, 1 << 20, &in, &count) != 0 || count == 0; /* no bytes: libzip takes an empty one */
        unlink(path);
    }
    CHECK_EQ(refused, (n + 6) / 7);
    for (int64_t at = 45; at < 180; at += 5) { /* a byte of the first array: its head, its values, its checksum */
        char *bad = NEW(&perm, char, n);
        memcpy(bad, bytes, (size_t)n);
        bad[at] ^= 0x55;
        path = file_of(bad, n);
        CHECK_MSG(npz_read(&perm, path, 1 << 20, &in, &count), "byte %d", (int)at);
        unlink(path);
    }
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 32);
    CHECK_RUN(test_models);
    CHECK_RUN(test_losses);
    CHECK_RUN(test_noise);
    CHECK_RUN(test_npz);
    return check_done("exchange");
}
