/* Blending samples with others, by shares of 255. */
#include "common.h"

/* x / 255, rounded; exact up to 255 * 255. */
INLINE words by_255(words x) {
    x += 128;
    return (x + (x >> 8)) >> 8;
}

INLINE words mixed(words one, words share, words other) {
    words sum = by_255(one * share) + by_255(other * (255 - share));
    return sum - (sum >> 8); /* Both may be rounded upwards. */
}

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
EXPORT void stream_mix(const u8 *ours, ptrdiff_t ours_stride, u8 *theirs, ptrdiff_t theirs_stride, const u8 *shares,
                       ptrdiff_t share_stride, ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *one = ours + y * ours_stride, *share = shares + y * share_stride;
        u8 *other = theirs + y * theirs_stride;
        ptrdiff_t x = 0;
        for (; x + BLOCK <= columns; x += BLOCK) mix_block(one + x, share + x, other + x);
        if (x < columns) {
            u8 last[3][BLOCK] = {{0}};
            memcpy(last[0], one + x, (size_t)(columns - x));
            memcpy(last[1], share + x, (size_t)(columns - x));
            memcpy(last[2], other + x, (size_t)(columns - x));
            mix_block(last[0], last[1], last[2]);
            memcpy(other + x, last[2], (size_t)(columns - x));
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
