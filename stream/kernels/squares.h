/* Parts of planes in squares of one value each, the mean of what was there. */
#ifndef STREAM_SQUARES_H
#define STREAM_SQUARES_H

#include "common.h"

#define AHEAD 3 /* rows that are asked for before they are looked at */

/* What is painted into: a plane, one of whose samples stands for `step` pixels each way. */
typedef struct {
    u8 *samples;
    ptrdiff_t stride, rows, columns;
    int step, value;
    u8 *cover; /* a row of squares, or NULL for the value */
} canvas_plane;

/* Asks memory for samples that are looked at soon and mostly written to then. */
INLINE void asked_for(const u8 *samples, ptrdiff_t count) {
    for (ptrdiff_t x = 0; x < count; x += 64) __builtin_prefetch(samples + x, 1);
}

/* The means of two rows and columns each; may be written over what they are taken from. */
INLINE void halved(const u8 *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, u8 *to, ptrdiff_t to_stride) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        for (int odd = 0; odd < 2 && y + AHEAD < rows; odd++)
            asked_for(from + (2 * (y + AHEAD) + odd) * stride, 2 * columns);
        halved_row(from + 2 * y * stride, from + (2 * y + 1) * stride, to + y * to_stride, columns);
    }
}

/* Adds so many rows to the sums of their columns, or of the means of two samples each of twice as many.
 *
 * last: of the last numbers, those that were not added with the ones before.
 */
INLINE void added_rows(const u8 *from, ptrdiff_t stride, int rows, ptrdiff_t wide, int halve, words last,
                       u16 *restrict sums) {
    const ptrdiff_t end = wide - HALF, step = halve ? 2 * stride : stride;
    for (ptrdiff_t x = 0; end >= 0; x = x + HALF < end ? x + HALF : end) {
        words more = each(0);
        for (int y = 0; y < rows; y++) {
            const u8 *const row = from + y * step;
            more += halve ? quarters(row + 2 * x, row + stride + 2 * x) : WIDE(row + x);
        }
        if (x == end) more &= last;
        *(words *)(sums + x) = WORDS(sums + x) + more;
        if (x == end) return;
    }
    for (int y = 0; y < rows; y++) {
        const u8 *const row = from + y * step, *const next = row + stride;
        for (ptrdiff_t x = 0; x < wide; x++)
            sums[x] += (u16)(halve ? (row[2 * x] + row[2 * x + 1] + next[2 * x] + next[2 * x + 1] + 2) >> 2 : row[x]);
    }
}

/* Sums of columns, of at most 256 rows. */
INLINE void sums_of(const u8 *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t wide, int halve, u16 *sums) {
    const ptrdiff_t step = halve ? 2 * stride : stride, again = wide % HALF ? HALF - wide % HALF : 0;
    words last;
    for (int x = 0; x < HALF; x++) last[x] = x < again && wide > HALF ? 0 : 0xFFFF;
    memset(sums, 0, (size_t)wide * sizeof(u16));
    ptrdiff_t y = 0;
    for (; y + 4 <= rows; y += 4) {
        for (ptrdiff_t ahead = y + 2 * AHEAD; ahead < y + 2 * AHEAD + 4 && ahead < rows; ahead++)
            for (int odd = 0; odd < 1 + halve; odd++) asked_for(from + ahead * step + odd * stride, wide << halve);
        added_rows(from + y * step, stride, 4, wide, halve, last, sums);
    }
    for (; y < rows; y++) added_rows(from + y * step, stride, 1, wide, halve, last, sums);
}

/* The means of squares beside each other, each of so many rows and columns, which are halved as long as they can be:
 * as `mosaic.py` has it, with OpenCV's rounding. */
INLINE void means(const u8 *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, u8 *out,
                  u8 *scratch, u16 *sums) {
    while (rows % 4 == 0 && columns % 4 == 0) {
        rows /= 2;
        columns /= 2;
        halved(from, stride, rows, columns * count, scratch, columns * count);
        from = scratch;
        stride = columns * count;
    }
    /* The last time they are halved while they are added. */
    const int halve = rows % 2 == 0 && columns % 2 == 0;
    rows >>= halve;
    columns >>= halve;
    const float share = 1.0f / (float)(rows * columns);
    const ptrdiff_t wide = columns * count, step = halve ? 2 * stride : stride;
    uint32_t *whole = (uint32_t *)(sums + wide + wide % 2);
    memset(whole, 0, (size_t)count * sizeof(uint32_t));
    for (ptrdiff_t first = 0; first < rows; first += 256) { /* More do not fit into sixteen bits. */
        const ptrdiff_t high = first + 256 < rows ? 256 : rows - first;
        if (halve)
            sums_of(from + first * step, stride, high, wide, 1, sums);
        else
            sums_of(from + first * step, stride, high, wide, 0, sums);
        for (ptrdiff_t one = 0; one < count; one++)
            for (ptrdiff_t x = 0; x < columns; x++) whole[one] += sums[one * columns + x];
    }
    for (ptrdiff_t one = 0; one < count; one++) out[one] = (u8)lrintf((float)(int32_t)whole[one] * share);
}

/* A row of squares of a plane, as far as any of a square's pixels may be covered: each sample of one of its rows. */
INLINE void squares(const canvas_plane *plane, ptrdiff_t top, ptrdiff_t block, const u8 *wanted, ptrdiff_t count,
                    u8 *small, u8 *scratch, u16 *sums) {
    const ptrdiff_t side = block / plane->step, high = plane->rows - top < side ? plane->rows - top : side;
    const u8 *from = plane->samples + top * plane->stride;
    const ptrdiff_t whole = plane->columns / side;
    for (ptrdiff_t one = 0; one < count;) {
        if (!wanted[one] || one * side >= plane->columns) {
            one++;
            continue;
        }
        ptrdiff_t last = one + 1, broad = side;
        if (one < whole)
            while (last < whole && wanted[last]) last++;
        else
            broad = plane->columns - one * side;
        means(from + one * side, plane->stride, high, broad, last - one, small, scratch, sums);
        for (ptrdiff_t at = one; at < last; at++) memset(plane->cover + at * side, small[at - one], (size_t)broad);
        one = last;
    }
}

/* Which squares of a row may have a pixel of which less than half stays. */
INLINE void wanted_of(const u8 *bare, ptrdiff_t rows, ptrdiff_t columns, int side, ptrdiff_t top, ptrdiff_t block,
                      u8 *wanted, ptrdiff_t count, u8 *restrict all) {
    const ptrdiff_t first = top / side > 0 ? top / side - 1 : 0;
    const ptrdiff_t last = (top + block - 1) / side + 2 < rows ? (top + block - 1) / side + 2 : rows;
    memset(all, 255, (size_t)columns);
    for (ptrdiff_t y = first; y < last; y++) {
        const u8 *restrict row = bare + y * columns;
        for (ptrdiff_t x = 0; x < columns; x++) all[x] &= row[x];
    }
    for (ptrdiff_t one = 0; one < count; one++) {
        const ptrdiff_t from = one * block / side > 0 ? one * block / side - 1 : 0;
        const ptrdiff_t end = (one * block + block - 1) / side + 2, to = end < columns ? end : columns;
        ptrdiff_t x = from;
        while (x < to && all[x] > 127) x++;
        wanted[one] = x < to;
    }
}

#endif
