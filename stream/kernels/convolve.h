/* Layers of an int8 network: what convolve.c computes and operators.c hands it.
 *
 * Pictures are bytes, rows of pixels of channels; what is around them is their zero. A sum of products becomes a byte
 * by its channel's factor, rounded, halves to the even one, above the answer's zero.
 */
#ifndef STREAM_CONVOLVE_H
#define STREAM_CONVOLVE_H

#include "common.h"

/* GCC aligns no stack to such wide registers on Windows. */
#ifndef CONVOLVES
#if defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
#define CONVOLVES 1
#else
#define CONVOLVES 0
#endif
#endif

/* How a layer reads its picture and what it answers. */
typedef struct {
    ptrdiff_t rows, columns, channels;          /* of the picture */
    ptrdiff_t out_rows, out_columns, answers;   /* of what comes of it */
    ptrdiff_t high, wide;                       /* of the filters */
    ptrdiff_t down, across;                     /* the steps from one place to the next */
    ptrdiff_t apart_down, apart_across;         /* from one of a filter's places to the next */
    ptrdiff_t above, left;                      /* of what is around the picture and looked at */
    int zero, out_zero;
} Layer;

/* What its products are added with: in 16 bits first, two pairs of them at once where that fits; or four at once
 * in 32 bits, which newer processors have an instruction for. */
enum { PAIRED = 1, VNNI = 2 };
/* What is told of answers that are computed together: how many they are, how many pieces of four bytes they read, and
 * how many pairs of these come first that are added in 16 bits. */
enum { TOGETHER_AT, PIECES_AT, PAIRS_AT, BLOCK_NUMBERS };

/* The numbers a layer is computed with; see convolve.py. */
typedef struct {
    int way;
    const int8_t *filters;
    const int32_t *sums;
    const float *factors;
    /* Only where every channel is read by every filter: */
    const int32_t *blocks;
    const ptrdiff_t *offsets; /* of the pieces of each block, in the order of its filters */
} Numbers;

/* What is added to a layer's answers, which are bytes by then: as many others. */
typedef struct {
    const u8 *other;
    float own, others, fixed; /* what of each is taken, and what is added */
    int own_first;             /* whether what is the layer's own is added first, and the other to that */
} Sum;

/* How many offsets there is to be room for, and all pieces of a layer in an order. */
ptrdiff_t stream_layer_pieces(const Layer *layer, const Numbers *with);
void stream_layer_offsets(const Layer *layer, const int32_t *order, ptrdiff_t pieces, ptrdiff_t *offsets);
/* How many bytes of memory some rows take while they are computed. */
ptrdiff_t stream_layer_room(const Layer *layer, int deep);
/* Rows first to last of an answer; deep: every channel is read by every filter, else each by its own. */
void stream_layer(const Layer *layer, const Numbers *with, int deep, const u8 *picture, u8 *out, ptrdiff_t first,
                  ptrdiff_t last, u8 *room);
void stream_vnni_layer(const Layer *layer, const Numbers *with, int deep, const u8 *picture, u8 *out,
                       ptrdiff_t first, ptrdiff_t last, u8 *room);
/* Adds to answers from the first to the last; with AVX2 and FMA. */
void stream_layer_sum(const Sum *sum, u8 *out, ptrdiff_t first, ptrdiff_t last);
int stream_has_vnni(void);
/* The newest way that this processor knows; 0 where it knows none. */
int stream_convolves(void);

#endif
