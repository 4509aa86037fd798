/* Edges of masks drawn to the picture's own, and mattes of what was drawn. */
#include "common.h"

#define TILE_ROWS 8
#define LEVELS 64 /* of difference, from which on nothing is alike */

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

#define MOST_SIDE 15 /* of a square whose sum two bytes hold */

/* What a table says of a row of values, between `rim` zeros, or, at a picture's edge, what is there once more. */
INLINE void fallen_row(const u8 *values, const u8 *table, ptrdiff_t columns, ptrdiff_t before, ptrdiff_t after, u8 *out) {
    u8 *row = out + before;
    ptrdiff_t x = 0;
    for (; x + BLOCK <= columns; x += BLOCK) {
        const bytes block = LOAD(values + x);
        if (!any_bit(block) || !any_bit(~block))
            STORE(row + x, block);
        else
            for (int at = 0; at < BLOCK; at++) row[x + at] = table[values[x + at]];
    }
    for (; x < columns; x++) row[x] = table[values[x]];
    memset(out, 0, (size_t)before);
    memset(row + columns, 0, (size_t)after);
}

/* Raises a block to the mean over a square around each sample, rounded, of which `sums` has the columns' sums; or,
 * where they are held, to twice that and to what they are. Returns whether there is anything. */
INLINE int fade_block(const u16 *sums, const u8 *own, int side, int held, u8 *to, int count) {
    const float part = 1.0f / (float)(side * side);
    u16 whole[BLOCK];
    for (int x = 0; x < BLOCK; x += HALF) {
        words sum = {0};
        for (int more = 0; more < side; more++) sum += WORDS(sums + x + more);
        *(words *)(whole + x) = sum;
    }
    u8 found[BLOCK];
    for (int x = 0; x < BLOCK; x++) {
        const float mean = ((float)whole[x] * part + 8388608.0f) - 8388608.0f;
        const int code = (int)mean, twice = 2 * code < 255 ? 2 * code : 255;
        found[x] = (u8)(held ? (twice > own[x] ? twice : own[x]) : code);
    }
    int any = 0;
    for (int x = 0; x < count; x++) {
        any |= found[x];
        to[x] = to[x] > found[x] ? to[x] : found[x];
    }
    return any;
}

INLINE ptrdiff_t within(ptrdiff_t place, ptrdiff_t end) { return place < 0 ? 0 : place < end ? place : end - 1; }

/* Raises a plane to what a table says of values, averaged over a square around each; see `fade_block`.
 *
 * table: 0 of 0 and 255 of 255. side: odd, 1 for no averaging. values lie at (top, left) of the plane, and are 0 beyond;
 * beyond the plane it is as on its edge.
 * scratch: for each column of the values, and 64 more, as many bytes as `side` and four more.
 */
EXPORT int stream_fall(const u8 *values, ptrdiff_t values_stride, ptrdiff_t rows, ptrdiff_t columns, const u8 *table,
                       int side, int held, u8 *plane, ptrdiff_t stride, ptrdiff_t height, ptrdiff_t width,
                       ptrdiff_t top, ptrdiff_t left, void *scratch) {
    const ptrdiff_t half = side / 2;
    /* What is written: the values' window and half a square around it, as far as there is a picture. */
    const ptrdiff_t first = top > half ? top - half : 0, last = top + rows + half < height ? top + rows + half : height;
    const ptrdiff_t from = left > half ? left - half : 0, to = left + columns + half < width ? left + columns + half : width;
    const ptrdiff_t wide = to - from, around = wide + 2 * half, room = around + 2 * BLOCK;
    u16 *sums = scratch;
    u8 *ring = (u8 *)(sums + room);
    memset(scratch, 0, (size_t)room * (2 + (size_t)side));
    int any = 0;
    for (ptrdiff_t y = first - half; y < last + half; y++) {
        u8 *row = ring + (y + side) % side * room;
        if (y - first >= half + 1)
            for (ptrdiff_t x = 0; x < around; x++) sums[x] = (u16)(sums[x] - row[x]);
        const ptrdiff_t there = within(y, height) - top;
        if (there >= 0 && there < rows) {
            fallen_row(values + there * values_stride, table, columns, left - from + half, to - left - columns + half, row);
            if (from == 0) memset(row, row[half], (size_t)half);
            if (to == width) memset(row + half + wide, row[half + wide - 1], (size_t)half);
        } else {
            memset(row, 0, (size_t)around);
        }
        for (ptrdiff_t x = 0; x < around; x++) sums[x] = (u16)(sums[x] + row[x]);
        const ptrdiff_t done = y - half;
        if (done < first) continue;
        const u8 *own = ring + (done + side) % side * room + half;
        u8 *out = plane + done * stride + from;
        const words full = each((u16)(255 * side));
        for (ptrdiff_t x = 0; x < wide; x += BLOCK) {
            words some = {0}, lacking = {0};
            for (int at = 0; at < BLOCK + 2 * HALF; at += HALF) {
                const words part = WORDS(sums + x + at);
                some |= part;
                lacking |= part ^ full;
            }
            const int count = (int)(wide - x < BLOCK ? wide - x : BLOCK);
            if (!any_word(some)) continue;
            if (!any_word(lacking) && count == BLOCK) {
                STORE(out + x, ~(bytes){0});
                any = 1;
            } else {
                any |= fade_block(sums + x, own + x, side, held, out + x, count);
            }
        }
    }
    return any != 0;
}
