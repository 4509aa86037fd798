/* Makes what convolve.c and regions.c compute operators of ONNX Runtime, by the part of its interface in C that never changes.
 *
 * What is taken of the interface is written down here, so that nothing is needed to compile it: an operator as its
 * third edition describes it, and functions by their place in the table that the runtime hands out.
 */
#include <stdlib.h>

#include "convolve.h"
#include "heads.h"
#include "regions.h"

#if CONVOLVES

enum { EDITION = 17, FAILED = 1, OLDEST = 1, NEWEST = 0x7FFFFFFF };
enum {
    CREATE_STATUS = 0,
    CREATE_DOMAIN = 26,
    DOMAIN_ADD = 27,
    ADD_DOMAIN = 28,
    TENSOR_DATA = 51,
    SIDES = 62,
    SHAPE = 65,
    INPUT = 90,
    OUTPUT = 91,
    RELEASE_SHAPE = 99,
    IN_PARALLEL = 274,
};
enum { FLOAT32 = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7 };
/* What each operator reads: a layer, one to whose answers others are added, and regions. */
enum { PICTURE, FILTERS, SUMS, FACTORS, NUMBERS, ORDER, BLOCKS, INPUTS };
enum { OTHER = INPUTS, SHARES, SUMMED_INPUTS };
enum { BOXES = 1, WHICH, LEVELS, HOW, REGION_INPUTS };
enum { WEIGHTS = 1, BIAS, LEVEL, PARTS, HEAD_INPUTS };
enum { MOST_BANDS = 24, MOST_ROWS = 8, PLACES_AT_ONCE = 512 };

typedef void (*Entry)(void);
typedef void *Status; /* NULL where all went well */
typedef struct {
    const Entry *(*table)(uint32_t edition);
    const char *(*version)(void);
} Base;

typedef struct Operator {
    uint32_t edition;
    void *create_before;
    const char *(*name)(const struct Operator *);
    const char *(*provider)(const struct Operator *);
    int (*input)(const struct Operator *, size_t);
    size_t (*inputs)(const struct Operator *);
    int (*output)(const struct Operator *, size_t);
    size_t (*outputs)(const struct Operator *);
    void *compute_before;
    void (*destroy)(void *);
    int (*input_kind)(const struct Operator *, size_t);
    int (*output_kind)(const struct Operator *, size_t);
    int (*memory)(const struct Operator *, size_t);
    int (*any_number[4])(const struct Operator *);
    Status (*create)(const struct Operator *, const Entry *, const void *, void **);
    Status (*compute)(void *, void *);
    void *shapes;
    int (*oldest)(const struct Operator *);
    int (*newest)(const struct Operator *);
    void *in_place[4];
} Operator;

typedef struct {
    const Entry *runtime;
    int deep, summed;
} Kernel;

typedef struct {
    const Layer *layer;
    const Numbers *with;
    const Sum *sum; /* NULL where nothing is added */
    const u8 *picture;
    u8 *out;
    ptrdiff_t band, room;
    int deep, failed;
} Work;

static Status refused(const Entry *runtime, const char *why) {
    return ((Status(*)(int, const char *))runtime[CREATE_STATUS])(FAILED, why);
}
static Status out_of_memory(const Entry *runtime) { return refused(runtime, "not enough memory"); }

static Status tensor(const Entry *runtime, const void *value, const void **held) {
    return ((Status(*)(const void *, const void **))runtime[TENSOR_DATA])(value, held);
}

static Status sides_of(const Entry *runtime, const void *value, int64_t *sides, size_t count) {
    void *shape = NULL;
    Status failed = ((Status(*)(const void *, void **))runtime[SHAPE])(value, &shape);
    if (failed != NULL) return failed;
    failed = ((Status(*)(const void *, int64_t *, size_t))runtime[SIDES])(shape, sides, count);
    ((void (*)(void *))runtime[RELEASE_SHAPE])(shape);
    return failed;
}

/* What an operator reads; the first one's four sides, and how many rows the second has. */
static Status read_all(const Entry *runtime, void *context, size_t count, const void **held, int64_t sides[4],
                       int64_t *second) {
    for (size_t at = 0; at < count; at++) {
        const void *value = NULL;
        int64_t two[2] = {0, 0};
        Status failed = ((Status(*)(const void *, size_t, const void **))runtime[INPUT])(context, at, &value);
        if (failed == NULL) failed = tensor(runtime, value, &held[at]);
        if (failed == NULL && at == 0) failed = sides_of(runtime, value, sides, 4);
        if (failed == NULL && at == 1 && second != NULL) {
            failed = sides_of(runtime, value, two, 2);
            *second = two[0];
        }
        if (failed != NULL) return failed;
    }
    return NULL;
}

/* An answer of four sides. */
static Status answer_of(const Entry *runtime, void *context, size_t which, const int64_t sides[4], void **out) {
    const void *held = NULL;
    void *value = NULL;
    Status failed = ((Status(*)(void *, size_t, const int64_t *, size_t, void **))runtime[OUTPUT])(context, which, sides,
                                                                                                 4, &value);
    if (failed == NULL) failed = tensor(runtime, value, &held);
    *out = (void *)held;
    return failed;
}

static Status in_parallel(const Entry *runtime, void *context, void (*does)(void *, size_t), int64_t count,
                          void *told) {
    return ((Status(*)(const void *, void (*)(void *, size_t), size_t, size_t, void *))runtime[IN_PARALLEL])(
        context, does, (size_t)count, 0, told);
}

/* Some rows of a picture; the runtime's threads take them in turns. */
static void band(void *told, size_t at) {
    Work *work = told;
    const Layer *layer = work->layer;
    const ptrdiff_t bands = (layer->out_rows + work->band - 1) / work->band;
    const ptrdiff_t picture = (ptrdiff_t)at / bands, first = (ptrdiff_t)at % bands * work->band;
    const ptrdiff_t last = first + work->band < layer->out_rows ? first + work->band : layer->out_rows;
    u8 *room = malloc((size_t)work->room);
    if (room == NULL) {
        __atomic_store_n(&work->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    const ptrdiff_t row = layer->out_columns * layer->answers, begin = picture * layer->out_rows;
    stream_layer(layer, work->with, work->deep,
                 work->picture + picture * layer->rows * layer->columns * layer->channels, work->out + begin * row, first,
                 last, room);
    /* While they are at hand. */
    if (work->sum != NULL) stream_layer_sum(work->sum, work->out, (begin + first) * row, (begin + last) * row);
    free(room);
}

static Status answered(const Kernel *kernel, void *context, const u8 *picture, int64_t pictures, Layer *layer,
                       const Numbers *with, const Sum *sum) {
    const Entry *runtime = kernel->runtime;
    const int64_t answer[4] = {pictures, layer->out_rows, layer->out_columns, layer->answers};
    void *out = NULL;
    Status failed = answer_of(runtime, context, 0, answer, &out);
    if (failed != NULL || pictures <= 0) return failed;
    ptrdiff_t rows = (layer->out_rows + MOST_BANDS - 1) / MOST_BANDS;
    rows = rows < MOST_ROWS ? rows : MOST_ROWS;
    Work work = {layer, with, sum, picture, out, rows, stream_layer_room(layer, kernel->deep), kernel->deep, 0};
    const ptrdiff_t bands = (layer->out_rows + rows - 1) / rows;
    failed = in_parallel(runtime, context, band, bands * pictures, &work);
    if (failed == NULL && work.failed) failed = out_of_memory(runtime);
    return failed;
}

/* What is added to answers of four sides, which has to have the same. */
static Status sum_of(const Entry *runtime, void *context, const int64_t *answer, const void **held, Sum *sum) {
    const void *value = NULL;
    int64_t sides[4] = {0, 0, 0, 0};
    Status failed = ((Status(*)(const void *, size_t, const void **))runtime[INPUT])(context, OTHER, &value);
    if (failed == NULL) failed = sides_of(runtime, value, sides, 4);
    if (failed != NULL) return failed;
    if (memcmp(sides, answer, sizeof(sides)) != 0) return refused(runtime, "what is added is of another size");
    const float *shares = held[SHARES];
    *sum = (Sum){held[OTHER], shares[0], shares[1], shares[2], shares[3] != 0};
    return NULL;
}

static Status compute(void *told, void *context) {
    const Kernel *kernel = told;
    const Entry *runtime = kernel->runtime;
    const void *held[SUMMED_INPUTS];
    int64_t sides[4] = {0, 0, 0, 0};
    Status failed = read_all(runtime, context, kernel->summed ? SUMMED_INPUTS : INPUTS, held, sides, NULL);
    if (failed != NULL) return failed;
    const int32_t *numbers = held[NUMBERS];
    Layer layer = {sides[1],   sides[2],   sides[3],   0,          0,          numbers[0],  numbers[1],  numbers[2],
                   numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],  numbers[11], numbers[12]};
    const ptrdiff_t high = (layer.high - 1) * layer.apart_down + 1, wide = (layer.wide - 1) * layer.apart_across + 1;
    const ptrdiff_t below = layer.rows + numbers[7] + numbers[9] - high;
    const ptrdiff_t after = layer.columns + numbers[8] + numbers[10] - wide;
    if (below < 0 || after < 0) return refused(runtime, "the picture is smaller than a layer's filters");
    layer.out_rows = below / layer.down + 1;
    layer.out_columns = after / layer.across + 1;
    Numbers with = {numbers[13], held[FILTERS], held[SUMS], held[FACTORS], held[BLOCKS], NULL};
    if (with.way > stream_convolves()) return refused(runtime, "this processor cannot compute it so");
    Sum sum = {NULL, 0, 0, 0, 0};
    if (kernel->summed) {
        const int64_t answer[4] = {sides[0], layer.out_rows, layer.out_columns, layer.answers};
        failed = sum_of(runtime, context, answer, held, &sum);
        if (failed != NULL) return failed;
    }
    ptrdiff_t *offsets = NULL;
    if (kernel->deep) {
        const ptrdiff_t pieces = stream_layer_pieces(&layer, &with);
        offsets = malloc((size_t)pieces * sizeof(*offsets));
        if (offsets == NULL) return out_of_memory(runtime);
        stream_layer_offsets(&layer, held[ORDER], pieces, offsets);
        with.offsets = offsets;
    }
    failed = answered(kernel, context, held[PICTURE], sides[0], &layer, &with, kernel->summed ? &sum : NULL);
    free(offsets);
    return failed;
}

typedef struct {
    const Regions *how;
    const u8 *pictures;
    int64_t count; /* of them */
    const float *boxes;
    const int64_t *which;
    u8 *out;
    int failed;
} Cutting;

static void region(void *told, size_t at) {
    Cutting *cutting = told;
    const Regions *how = cutting->how;
    const int64_t which = cutting->which[at];
    float *room = malloc((size_t)stream_region_room(how) * sizeof(*room));
    if (room == NULL || which < 0 || which >= cutting->count) {
        __atomic_store_n(&cutting->failed, room == NULL ? 1 : 2, __ATOMIC_RELAXED);
    } else {
        stream_region(how, cutting->pictures + which * how->rows * how->columns * how->channels,
                      cutting->boxes + 4 * at,
                      cutting->out + (ptrdiff_t)at * how->out_rows * how->out_columns * how->channels, room);
    }
    free(room);
}

static Status cut(void *told, void *context) {
    const Kernel *kernel = told;
    const Entry *runtime = kernel->runtime;
    const void *held[REGION_INPUTS];
    int64_t sides[4] = {0, 0, 0, 0}, count = 0;
    Status failed = read_all(runtime, context, REGION_INPUTS, held, sides, &count);
    if (failed != NULL) return failed;
    const float *values = held[LEVELS];
    const int32_t *numbers = held[HOW];
    const Regions how = {sides[1],  sides[2],  sides[3],  numbers[0], numbers[1], numbers[2], numbers[3],
                         numbers[4], values[0], values[1], values[2],  numbers[5], numbers[6]};
    const int64_t across[4] = {count, how.out_rows, how.out_columns, how.channels};
    const int64_t planes[4] = {count, how.channels, how.out_rows, how.out_columns};
    Cutting cutting = {&how, held[PICTURE], sides[0], held[BOXES], held[WHICH], NULL, 0};
    void *out = NULL;
    failed = answer_of(runtime, context, 0, how.planes ? planes : across, &out);
    cutting.out = out;
    if (failed == NULL && count > 0) failed = in_parallel(runtime, context, region, count, &cutting);
    if (failed != NULL || !cutting.failed) return failed;
    return cutting.failed == 1 ? out_of_memory(runtime) : refused(runtime, "a region is of no picture");
}

typedef struct {
    const Head *head;
    const u8 *places;
    ptrdiff_t count, band;
    float *first, *second;
} Answering;

/* Some places of all pictures. */
static void places(void *told, size_t at) {
    const Answering *work = told;
    const Head *head = work->head;
    const ptrdiff_t begin = (ptrdiff_t)at * work->band, rest = work->count - begin;
    stream_head(head, work->places + begin * head->channels, rest < work->band ? rest : work->band,
                work->first + begin * head->first, work->second + begin * head->second);
}

static Status head_of(void *told, void *context) {
    const Kernel *kernel = told;
    const Entry *runtime = kernel->runtime;
    const void *held[HEAD_INPUTS];
    int64_t sides[4] = {0, 0, 0, 0};
    int64_t weighed = 0; /* channels */
    Status failed = read_all(runtime, context, HEAD_INPUTS, held, sides, &weighed);
    if (failed != NULL) return failed;
    if (stream_convolves() < VNNI) return refused(runtime, "this processor cannot compute it so");
    const float *level = held[LEVEL];
    const int32_t *parts = held[PARTS];
    const Head head = {sides[3], level[0], (int)level[1], held[WEIGHTS], held[BIAS], parts[0], parts[1]};
    if (head.channels > HEAD_CHANNELS || head.channels > weighed) return refused(runtime, "a pixel has too many channels");
    const int64_t first[4] = {sides[0], sides[1], sides[2], head.first};
    const int64_t second[4] = {sides[0], sides[1], sides[2], head.second};
    void *one = NULL, *other = NULL;
    failed = answer_of(runtime, context, 0, first, &one);
    if (failed == NULL) failed = answer_of(runtime, context, 1, second, &other);
    const ptrdiff_t count = (ptrdiff_t)(sides[0] * sides[1] * sides[2]);
    if (failed != NULL || count == 0) return failed;
    Answering work = {&head, held[PICTURE], count, PLACES_AT_ONCE, one, other};
    return in_parallel(runtime, context, places, (count + PLACES_AT_ONCE - 1) / PLACES_AT_ONCE, &work);
}

static const char *deep_name(const Operator *op) { return (void)op, "Deep"; }
static const char *summed_name(const Operator *op) { return (void)op, "Summed"; }
static const char *shallow_name(const Operator *op) { return (void)op, "Shallow"; }
static const char *regions_name(const Operator *op) { return (void)op, "Regions"; }
static const char *head_name(const Operator *op) { return (void)op, "Head"; }
static const char *on_cpu(const Operator *op) { return (void)op, "CPUExecutionProvider"; }
static int input(const Operator *op, size_t at) {
    static const int kinds[SUMMED_INPUTS] = {UINT8, INT8, INT32, FLOAT32, INT32, INT32, INT32, UINT8, FLOAT32};
    return (void)op, kinds[at];
}
static size_t inputs(const Operator *op) { return (void)op, INPUTS; }
static size_t summed_inputs(const Operator *op) { return (void)op, SUMMED_INPUTS; }
static int region_input(const Operator *op, size_t at) {
    static const int kinds[REGION_INPUTS] = {UINT8, FLOAT32, INT64, FLOAT32, INT32};
    return (void)op, kinds[at];
}
static size_t region_inputs(const Operator *op) { return (void)op, REGION_INPUTS; }
static int head_input(const Operator *op, size_t at) {
    static const int kinds[HEAD_INPUTS] = {UINT8, FLOAT32, FLOAT32, FLOAT32, INT32};
    return (void)op, kinds[at];
}
static size_t head_inputs(const Operator *op) { return (void)op, HEAD_INPUTS; }
static int head_output(const Operator *op, size_t at) { return (void)op, (void)at, FLOAT32; }
static size_t head_outputs(const Operator *op) { return (void)op, 2; }
static int output(const Operator *op, size_t at) { return (void)op, (void)at, UINT8; }
static size_t outputs(const Operator *op) { return (void)op, 1; }
static int needed(const Operator *op, size_t at) { return (void)op, (void)at, 0; }
static int none(const Operator *op) { return (void)op, 0; }
static int oldest(const Operator *op) { return (void)op, OLDEST; }
static int newest(const Operator *op) { return (void)op, NEWEST; }
static void destroy(void *kernel) { free(kernel); }

static Status created(const Entry *runtime, int deep, int summed, void **made) {
    Kernel *kernel = malloc(sizeof(*kernel));
    if (kernel == NULL) return out_of_memory(runtime);
    *kernel = (Kernel){runtime, deep, summed};
    *made = kernel;
    return NULL;
}
static Status deep_created(const Operator *op, const Entry *runtime, const void *info, void **made) {
    return (void)op, (void)info, created(runtime, 1, 0, made);
}
static Status summed_created(const Operator *op, const Entry *runtime, const void *info, void **made) {
    return (void)op, (void)info, created(runtime, 1, 1, made);
}
static Status shallow_created(const Operator *op, const Entry *runtime, const void *info, void **made) {
    return (void)op, (void)info, created(runtime, 0, 0, made);
}

#define OPERATOR(named, reads, count, makes, number, creates, computes)                                                             \
    {.edition = EDITION, .name = named,       .provider = on_cpu, .input = reads,       .inputs = count,             \
     .output = makes,    .outputs = number,  .destroy = destroy, .input_kind = needed, .output_kind = needed,       \
     .memory = needed,   .any_number = {none, none, none, none},  .create = creates,    .compute = computes,         \
     .oldest = oldest,   .newest = newest}
static const Operator OPERATORS[] = {
    OPERATOR(deep_name, input, inputs, output, outputs, deep_created, compute),
    OPERATOR(summed_name, input, summed_inputs, output, outputs, summed_created, compute),
    OPERATOR(shallow_name, input, inputs, output, outputs, shallow_created, compute),
    OPERATOR(regions_name, region_input, region_inputs, output, outputs, shallow_created, cut),
    OPERATOR(head_name, head_input, head_inputs, head_output, head_outputs, shallow_created, head_of),
};

/* Called by ONNX Runtime where a session is given this library. */
VISIBLE Status RegisterCustomOps(void *options, const Base *base) {
    static void *known;
    const Entry *runtime = base->table(EDITION);
    if (runtime == NULL) return NULL; /* Sessions that want an operator say that there is none. */
    void *domain = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
    if (domain == NULL) {
        Status failed = ((Status(*)(const char *, void **))runtime[CREATE_DOMAIN])("stream", &domain);
        for (size_t at = 0; failed == NULL && at < sizeof(OPERATORS) / sizeof(*OPERATORS); at++)
            failed = ((Status(*)(void *, const Operator *))runtime[DOMAIN_ADD])(domain, &OPERATORS[at]);
        if (failed != NULL) return failed;
        __atomic_store_n(&known, domain, __ATOMIC_RELEASE); /* One too many, made meanwhile, does no harm. */
    }
    return ((Status(*)(void *, void *))runtime[ADD_DOMAIN])(options, domain);
}

#endif
