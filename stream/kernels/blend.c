/* Blending samples with others, by shares of 255. */
#include "common.h"

INLINE void blend_block(u8 *samples, const u8 *keep, u8 value) {
    const bytes part = LOAD(keep);
    if (!any_bit(~part)) return;
    if (!any_bit(part)) {
        memset(samples, value, BLOCK);
        return;
    }
    for (int x = 0; x < BLOCK; x += HALF) NARROW(samples + x, mixed(WIDE(samples + x), WIDE(keep + x), each(value)));
}

/* samples * keep / 255 + value * (255 - keep) / 255, in place. */
EXPORT void stream_blend(u8 *samples, ptrdiff_t stride, const u8 *keep, ptrdiff_t keep_stride, ptrdiff_t rows,
                         ptrdiff_t columns, int value) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *row = samples + y * stride;
        const u8 *share = keep + y * keep_stride;
        ptrdiff_t x = 0;
        for (; x + BLOCK <= columns; x += BLOCK) blend_block(row + x, share + x, (u8)value);
        if (x < columns) {
            u8 last[2][BLOCK] = {{0}};
            memcpy(last[0], row + x, (size_t)(columns - x));
            memcpy(last[1], share + x, (size_t)(columns - x));
            blend_block(last[0], last[1], (u8)value);
            memcpy(row + x, last[0], (size_t)(columns - x));
        }
    }
}

/* Writes a value where a mask is 1 and what is there is less. */
EXPORT void stream_lay(u8 *samples, ptrdiff_t samples_stride, const u8 *inside, ptrdiff_t stride, ptrdiff_t rows,
                       ptrdiff_t columns, int value) {
    const u8 own = (u8)value;
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *restrict there = samples + y * samples_stride;
        const u8 *restrict row = inside + y * stride;
        for (ptrdiff_t x = 0; x < columns; x++) {
            const u8 mine = (u8)(row[x] * own);
            there[x] = there[x] > mine ? there[x] : mine;
        }
    }
}

/* A row of a small plane at the middles of `larger` times as many samples, times 2 * larger. */
INLINE void widened(const u8 *restrict small, ptrdiff_t columns, const int larger, u16 *restrict out) {
    const int half = larger / 2;
    for (int x = 0; x < half; x++) out[x] = (u16)(2 * larger * small[0]);
    u16 *restrict to = out + half;
    for (ptrdiff_t at = 0; at + 1 < columns; at++, to += larger) {
        const u16 from = (u16)(2 * larger * small[at]), step = (u16)(small[at + 1] - small[at]);
        for (int x = 0; x < larger; x++) to[x] = (u16)(from + step * (u16)(2 * x + 1));
    }
    for (int x = 0; x < half; x++) to[x] = (u16)(2 * larger * small[columns - 1]);
}

/* The same for each of what `larger` may be, which compilers do several samples of at once. */
INLINE void row_widened(const u8 *small, ptrdiff_t columns, int larger, u16 *out) {
    if (larger == 2)
        widened(small, columns, 2, out);
    else if (larger == 4)
        widened(small, columns, 4, out);
    else
        widened(small, columns, 8, out);
}

/* What is behind a row of samples: one value, a row of as many, or what lies between two rows that are widened. */
enum { VALUE = 0, ROW = 1, BETWEEN = 2 };

typedef struct {
    const u8 *row;
    const u16 *above, *below;
    u16 rest, more, round, shift; /* how much of the one above and the one below, of the most of both */
    u8 value;
} Below;

/* Half a block of it. */
INLINE words half_behind(const Below *from, int kind, ptrdiff_t x) {
    if (kind == VALUE) return each(from->value);
    if (kind == ROW) return WIDE(from->row + x);
    return (WORDS(from->above + x) * from->rest + WORDS(from->below + x) * from->more + from->round) >> from->shift;
}

/* A block of samples with what is behind them, in place. */
INLINE void composed_block(u8 *samples, const u8 *share, const Below *from, int kind, ptrdiff_t x) {
    const bytes part = LOAD(share);
    if (!any_bit(~part)) return;
    const words one = half_behind(from, kind, x), other = half_behind(from, kind, x + HALF);
    if (!any_bit(part)) {
        NARROW(samples, one);
        NARROW(samples + HALF, other);
        return;
    }
    NARROW(samples, mixed(WIDE(samples), WIDE(share), one));
    NARROW(samples + HALF, mixed(WIDE(samples + HALF), WIDE(share + HALF), other));
}

/* What is behind, in place of samples. */
INLINE void put_behind(u8 *row, const Below *from, int kind, ptrdiff_t first, ptrdiff_t last) {
    ptrdiff_t x = first;
    if (kind == VALUE && x < last) memset(row + x, from->value, (size_t)(last - x));
    if (kind == ROW && x < last) memcpy(row + x, from->row + x, (size_t)(last - x));
    if (kind != BETWEEN) return;
    for (; x + HALF <= last; x += HALF) NARROW(row + x, half_behind(from, kind, x));
    for (; x < last; x++) row[x] = (u8)((from->above[x] * from->rest + from->below[x] * from->more + from->round) >> from->shift);
}

/* A row with what is behind it; objects are in some of its columns only, of which `share` begins with the first. */
INLINE void composed_row(u8 *row, const u8 *share, const Below *from, const int kind, ptrdiff_t first, ptrdiff_t last,
                         ptrdiff_t columns) {
    put_behind(row, from, kind, 0, first);
    ptrdiff_t x = first;
    for (; x + BLOCK <= last; x += BLOCK) composed_block(row + x, share + x - first, from, kind, x);
    if (x < last) {
        u8 rest[3][BLOCK] = {{0}};
        const size_t count = (size_t)(last - x);
        memcpy(rest[0], row + x, count);
        memcpy(rest[1], share + x - first, count);
        Below there = *from;
        if (kind == ROW) {
            memcpy(rest[2], from->row + x, count);
            there.row = rest[2] - x;
        }
        composed_block(rest[0], rest[1], &there, kind, x);
        memcpy(row + x, rest[0], count);
    }
    put_behind(row, from, kind, last, columns);
}

/* Puts something else behind objects, into a plane.
 *
 * behind: samples of `larger` times fewer rows and columns (1, 2, 4 or 8), or NULL for `value`.
 * window: rows and columns of the plane outside which no object is; share: of it, 255 where samples stay as they are.
 * scratch: 4 bytes for each column and for each of a block.
 */
EXPORT void stream_compose(u8 *samples, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, const u8 *behind,
                           ptrdiff_t behind_stride, int larger, int value, const int64_t *window, const u8 *share,
                           ptrdiff_t share_stride, void *scratch) {
    u16 *above = scratch, *below = above + columns + BLOCK;
    const ptrdiff_t small = rows / larger;
    ptrdiff_t known = -2; /* which small row is in `above` */
    Below from = {.value = (u8)value, .round = (u16)(2 * larger * larger), .shift = larger == 8 ? 8 : larger == 4 ? 6 : 4};
    for (ptrdiff_t y = 0; y < rows; y++) {
        if (behind != NULL && larger > 1) {
            /* Of the small rows' middles the one before, -1 for none. */
            const ptrdiff_t place = 2 * y + 1 - larger, first = place < 0 ? -1 : place / (2 * larger);
            if (first != known) {
                const ptrdiff_t one = first < 0 ? 0 : first, other = first + 1 < small ? first + 1 : small - 1;
                if (first == known + 1 && known >= -1) {
                    u16 *before = above;
                    above = below;
                    below = before;
                } else {
                    row_widened(behind + one * behind_stride, columns / larger, larger, above);
                }
                row_widened(behind + other * behind_stride, columns / larger, larger, below);
                known = first;
            }
            from.above = above;
            from.below = below;
            from.more = (u16)(place - first * 2 * larger);
            from.rest = (u16)(2 * larger - from.more);
        } else if (behind != NULL) {
            from.row = behind + y * behind_stride;
        }
        const int some = y >= window[0] && y < window[1];
        const ptrdiff_t left = some ? (ptrdiff_t)window[2] : columns, right = some ? (ptrdiff_t)window[3] : columns;
        const u8 *there = share + (y - window[0]) * share_stride;
        u8 *row = samples + y * stride;
        if (behind == NULL)
            composed_row(row, there, &from, VALUE, left, right, columns);
        else if (larger == 1)
            composed_row(row, there, &from, ROW, left, right, columns);
        else
            composed_row(row, there, &from, BETWEEN, left, right, columns);
    }
}

/* How far two rows and columns of a matte's are an object's: as far as any of their pixels is. rows, columns: of it. */
EXPORT void stream_held(const u8 *alpha, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, u8 *out) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *above = alpha + 2 * y * stride, *below = above + stride;
        u8 *row = out + y * columns;
        ptrdiff_t x = 0;
        for (; x + BLOCK <= columns; x += BLOCK) {
            const u8 *one = above + 2 * x, *other = below + 2 * x;
            const bytes any = LOAD(one) | LOAD(one + BLOCK) | LOAD(other) | LOAD(other + BLOCK);
            if (!any_bit(any)) {
                STORE(row + x, any);
                continue;
            }
            for (int at = 0; at < BLOCK; at += HALF) {
                const words sum = quarters(one + 2 * at, other + 2 * at) << 2;
                NARROW(row + x + at, sum | (words)(sum > 255));
            }
        }
        for (; x < columns; x++) {
            u8 mean;
            halved_row(above + 2 * x, below + 2 * x, &mean, 1);
            row[x] = (u8)(4 * mean < 255 ? 4 * mean : 255);
        }
    }
}

/* samples * keep / 255 + added, of pictures that are put into another one after the other.
 *
 * planes: of the other, each its address, its stride, and rows and columns of the first for one of its own.
 * sprites: of each its row, its column, its height and its width, and for each plane where `keep` and `added` lie, their
 * rows one after the other.
 */
EXPORT void stream_put(ptrdiff_t count, const int64_t *sprites, int planes, const int64_t *places) {
    for (ptrdiff_t one = 0; one < count; one++, sprites += 4 + 2 * planes)
        for (int plane = 0; plane < planes; plane++) {
            const int64_t *place = places + 4 * plane, down = place[2], across = place[3];
            const ptrdiff_t rows = (ptrdiff_t)(sprites[2] / down), columns = (ptrdiff_t)(sprites[3] / across);
            const ptrdiff_t stride = (ptrdiff_t)place[1];
            u8 *samples = (u8 *)(intptr_t)place[0] + sprites[0] / down * stride + sprites[1] / across;
            const u8 *restrict keep = (const u8 *)(intptr_t)sprites[4 + 2 * plane];
            const u8 *restrict added = (const u8 *)(intptr_t)sprites[5 + 2 * plane];
            for (ptrdiff_t y = 0; y < rows; y++, samples += stride, keep += columns, added += columns) {
                u8 *restrict row = samples;
                for (ptrdiff_t x = 0; x < columns; x++) {
                    const u16 product = (u16)(row[x] * keep[x] + 128);
                    const u16 sum = (u16)(((u16)(product + (product >> 8)) >> 8) + added[x]);
                    row[x] = (u8)(sum < 255 ? sum : 255);
                }
            }
        }
}
