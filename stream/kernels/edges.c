/* Edges of masks drawn to the picture's own, and mattes of what was drawn. */
#include "common.h"

#define TILE_ROWS 8
#define LEVELS 64 /* of difference, from which on nothing is alike */

INLINE u8 larger(u8 one, u8 other) { return one > other ? one : other; }

/* By how much each two samples differ, LEVELS at most, so that no sum of three goes over a byte. */
INLINE bytes difference_of(bytes one, bytes other) {
    const bytes over = (bytes)(one > other), more = (one - other) & over, less = (other - one) & ~over;
    const bytes both = more | less, far = (bytes)(both > LEVELS);
    return (both & ~far) | (LEVELS & far);
}

/* How much each neighbour counts: `table` by how much it differs, 0 from LEVELS on. */
INLINE void weigh(const u8 *from, const u8 *table, u8 *to) {
#if defined(__GNUC__) && !defined(__clang__)
    for (int half = 0; half < BLOCK; half += HALF) {
        const half_bytes index = *(const half_bytes *)(from + half);
        half_bytes found = {0};
        for (int part = 0; part < LEVELS / HALF; part++) {
            const half_bytes there = (half_bytes)((index >> 4) == (u8)part);
            found |= there & __builtin_shuffle(*(const half_bytes *)(table + HALF * part), index & 15);
        }
        *(half_bytes *)(to + half) = found;
    }
#else
    for (int x = 0; x < BLOCK; x++) to[x] = from[x] < LEVELS ? table[from[x]] : 0;
#endif
}

/* A block of `stream_bilateral`, at its place in each plane. */
INLINE void averaged(const u8 *const *planes, ptrdiff_t stride, int own, int neighbours, const int32_t *places,
                     const u8 *tables, u8 *out) {
    u16 low[BLOCK], high[BLOCK], sum[BLOCK];
    const u8 *mask = planes[3];
    for (int x = 0; x < BLOCK; x += HALF) {
        const words product = WIDE(mask + x) * each((u16)own);
        *(words *)(low + x) = product & 255;
        *(words *)(high + x) = product >> 8;
        *(words *)(sum + x) = each((u16)own);
    }
    for (int one = 0; one < neighbours; one++) {
        const ptrdiff_t place = places[2 * one] * stride + places[2 * one + 1];
        u8 differences[BLOCK], weight[BLOCK];
        STORE(differences, difference_of(LOAD(planes[0]), LOAD(planes[0] + place)) +
                               difference_of(LOAD(planes[1]), LOAD(planes[1] + place)) +
                               difference_of(LOAD(planes[2]), LOAD(planes[2] + place)));
        weigh(differences, tables + LEVELS * one, weight);
        for (int x = 0; x < BLOCK; x += HALF) {
            const words share = WIDE(weight + x), product = WIDE(mask + place + x) * share;
            *(words *)(low + x) += product & 255;
            *(words *)(high + x) += product >> 8;
            *(words *)(sum + x) += share;
        }
    }
    for (int x = 0; x < BLOCK; x++) {
        const float total = (float)(high[x] * 256 + low[x]);
        out[x] = (u8)(int)((total / (float)sum[x] + 8388608.0f) - 8388608.0f); /* Halves to the even one. */
    }
}

/* A mask averaged over what looks alike nearby.
 *
 * planes: four, one after the other, of so many rows and columns and a rim around: three of colours, and the mask. A
 * block of columns at least; a rim of half a block at most.
 * places, tables: rows and columns to each neighbour, within the rim, and its weights by how much it differs, LEVELS.
 * Where the mask is one value all around, it stays that.
 */
EXPORT void stream_bilateral(const u8 *planes, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t rim, int own,
                             int neighbours, const int32_t *places, const u8 *tables, u8 *out) {
    const ptrdiff_t stride = columns + 2 * rim, size = stride * (rows + 2 * rim);
    const u8 *first = planes + rim * stride + rim;
    for (ptrdiff_t top = 0; top < rows; top += TILE_ROWS) {
        const ptrdiff_t bottom = top + TILE_ROWS < rows ? top + TILE_ROWS : rows;
        for (ptrdiff_t x = 0; x < columns; x += BLOCK) {
            /* The last block goes back over the one before. */
            const ptrdiff_t left = x + BLOCK <= columns ? x : columns - BLOCK;
            const u8 *mask = first + 3 * size + left;
            const bytes value = mask[top * stride] - (bytes){0};
            bytes other = {0};
            for (ptrdiff_t y = top - rim; y < bottom + rim; y++) {
                const u8 *row = mask + y * stride;
                other |= (LOAD(row - rim) ^ value) | (LOAD(row + rim) ^ value);
            }
            for (ptrdiff_t y = top; y < bottom; y++) {
                u8 *into = out + y * columns + left;
                if (!any_bit(other)) {
                    STORE(into, value);
                    continue;
                }
                const u8 *there = first + y * stride + left;
                const u8 *const every[4] = {there, there + size, there + 2 * size, there + 3 * size};
                averaged(every, stride, own, neighbours, places, tables, into);
            }
        }
    }
}

/* Raises a plane to what a table says of values, 0 of 0 and 255 of 255; returns whether that is anything. */
EXPORT int stream_shape(const u8 *values, ptrdiff_t values_stride, const u8 *table, u8 *plane, ptrdiff_t stride,
                        ptrdiff_t rows, ptrdiff_t columns) {
    int any = 0;
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *from = values + y * values_stride;
        u8 *to = plane + y * stride;
        ptrdiff_t x = 0;
        for (; x + BLOCK <= columns; x += BLOCK) {
            const bytes block = LOAD(from + x);
            if (!any_bit(block)) continue;
            if (!any_bit(~block)) {
                STORE(to + x, block);
                any = 1;
                continue;
            }
            u8 found[BLOCK];
            for (int at = 0; at < BLOCK; at++) found[at] = table[from[x + at]];
            any |= any_bit(LOAD(found));
            for (int at = 0; at < BLOCK; at++) to[x + at] = larger(to[x + at], found[at]);
        }
        for (; x < columns; x++) {
            const u8 value = table[from[x]];
            any |= value != 0;
            to[x] = larger(to[x], value);
        }
    }
    return any;
}
