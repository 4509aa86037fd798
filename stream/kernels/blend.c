/* Blending samples with others, by shares of 255. */
#include "common.h"

INLINE void mix_block(const u8 *ours, const u8 *share, u8 *theirs) {
    const bytes part = LOAD(share);
    if (!any_bit(part)) return;
    if (!any_bit(~part)) {
        STORE(theirs, LOAD(ours));
        return;
    }
    for (int x = 0; x < BLOCK; x += HALF) NARROW(theirs + x, mixed(WIDE(ours + x), WIDE(share + x), WIDE(theirs + x)));
}

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

/* ours * share / 255 + theirs * (255 - share) / 255, into theirs. */
INLINE void mix_row(const u8 *ours, const u8 *share, u8 *theirs, ptrdiff_t columns) {
    ptrdiff_t x = 0;
    for (; x + BLOCK <= columns; x += BLOCK) mix_block(ours + x, share + x, theirs + x);
    if (x < columns) {
        u8 last[3][BLOCK] = {{0}};
        memcpy(last[0], ours + x, (size_t)(columns - x));
        memcpy(last[1], share + x, (size_t)(columns - x));
        memcpy(last[2], theirs + x, (size_t)(columns - x));
        mix_block(last[0], last[1], last[2]);
        memcpy(theirs + x, last[2], (size_t)(columns - x));
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

/* Between two such rows, `part` of 2 * larger from the first to the second. */
INLINE void between(const u16 *restrict above, const u16 *restrict below, int part, int larger, u8 *restrict out,
                    ptrdiff_t columns) {
    const int whole = 2 * larger, shift = larger == 8 ? 8 : larger == 4 ? 6 : 4;
    const u16 rest = (u16)(whole - part), more = (u16)part, round = (u16)(whole * whole / 2);
    ptrdiff_t x = 0;
    for (; x + HALF <= columns; x += HALF)
        NARROW(out + x, (WORDS(above + x) * rest + WORDS(below + x) * more + round) >> shift);
    for (; x < columns; x++) out[x] = (u8)((above[x] * rest + below[x] * more + round) >> shift);
}

/* Puts something else behind objects, into a plane.
 *
 * behind: samples of `larger` times fewer rows and columns (1, 2, 4 or 8), or NULL for `value`.
 * windows: of the plane, that do not touch each other; shares: of each where they lie and their stride, 255 where
 * samples stay as they are.
 * scratch: 5 bytes for each column.
 */
EXPORT void stream_compose(u8 *samples, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, const u8 *behind,
                           ptrdiff_t behind_stride, int larger, int value, ptrdiff_t count, const int64_t *windows,
                           const int64_t *shares, void *scratch) {
    u16 *above = scratch, *below = above + columns;
    u8 *fresh = (u8 *)(below + columns);
    const ptrdiff_t small = rows / larger;
    ptrdiff_t known = -2; /* which small row is in `above` */
    memset(fresh, value, (size_t)columns);
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *row = samples + y * stride;
        if (behind == NULL && y) memset(fresh, value, (size_t)columns);
        if (behind != NULL && larger == 1) memcpy(fresh, behind + y * behind_stride, (size_t)columns);
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
            between(above, below, (int)(place - first * 2 * larger), larger, fresh, columns);
        }
        for (ptrdiff_t one = 0; one < count; one++) {
            const int64_t *window = windows + 4 * one;
            if (y < window[0] || y >= window[1]) continue;
            const u8 *share = (const u8 *)(intptr_t)shares[2 * one] + (y - window[0]) * shares[2 * one + 1];
            mix_row(row + window[2], share, fresh + window[2], columns_of(window));
        }
        memcpy(row, fresh, (size_t)columns);
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
