/* Layers of an int8 network: what convolve.c computes and operators.c hands it.
 *
 * Pictures are bytes, rows of pixels of channels; what is around them is their zero. A sum of products becomes a byte
 * by its channel's factor, rounded, halves to the even one, above the answer's zero.
 */
#ifndef STREAM_CONVOLVE_H
#define STREAM_CONVOLVE_H

#include "common.h"

/* GCC aligns no stack to such wide registers on Windows. */
#if defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
#define CONVOLVES 1
#else
#define CONVOLVES 0
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

/* The numbers a layer is computed with; see convolve.py. */
typedef struct {
    const int8_t *filters;
    const int32_t *sums;
    const float *factors;
    /* Only where every channel is read by every filter: */
    const int32_t *pairs;     /* of pieces that are added in 16 bits, of each block of answers */
    const ptrdiff_t *offsets; /* of the pieces of each block, in the order of its filters */
} Numbers;

/* Offsets of all pieces of a layer, in an order; how many there are. */
ptrdiff_t stream_layer_offsets(const Layer *layer, const int32_t *order, ptrdiff_t *offsets);
ptrdiff_t stream_layer_pieces(const Layer *layer);
/* How many bytes of memory some rows take while they are computed. */
ptrdiff_t stream_layer_room(const Layer *layer);
/* Rows first to last of an answer; deep: every channel is read by every filter, else each by its own. */
void stream_layer(const Layer *layer, const Numbers *with, int deep, const u8 *picture, u8 *out, ptrdiff_t first,
                  ptrdiff_t last, u8 *room);

#endif
