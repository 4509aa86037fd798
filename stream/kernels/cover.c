/* Covering objects: cells enlarged to shares of pixels, and a colour or squares where they say so. */
#include "squares.h"

#define BEYOND (2 * BLOCK) /* cells that are looked at beyond the last one, and fewer */

enum { BARE = 1, COVERED = 2 }; /* whether there are cells under a block that stay, and that do not */

/* Of half a block of pixels the cells, from one on, between whose middles each lies, and shares of these: of the one
 * behind, of 2048, where that is the less, and of the one ahead where that is, times 32; as OpenCV has them. */
typedef struct {
    u8 behind[HALF], ahead[HALF];
    u16 to[HALF], from[HALF];
} pixels_between;

/* Where pixels lie between cells: of each half block the first cell, from one before all on, and which of some ways. */
typedef struct {
    const int32_t *firsts, *which;
    const pixels_between *ways;
    const u16 *parts; /* of 2048, of the row of cells below at each row of pixels */
} cells_of;

/* Of sixteen bytes those that are asked for. */
INLINE half_bytes picked_bytes(half_bytes from, half_bytes which) {
#if defined(__clang__)
    half_bytes found;
    for (int at = 0; at < HALF; at++) found[at] = from[which[at] & (HALF - 1)];
    return found;
#else
    return __builtin_shuffle(from, which);
#endif
}

/* Rows of cells at half a block of pixels, of 128 times what they are: the less of the two that a pixel lies between, how
 * much more the other is, and which share of that counts. */
INLINE void between_cells(const u8 *cells, const pixels_between *pixels, u16 *less, u16 *more, u16 *part) {
    const half_bytes near = *(const half_bytes *)cells;
    const words from = __builtin_convertvector(picked_bytes(near, *(const half_bytes *)pixels->behind), words);
    const words to = __builtin_convertvector(picked_bytes(near, *(const half_bytes *)pixels->ahead), words);
    const words up = (words)(to > from);
    *(words *)less = 128 * ((up & from) | (~up & to));
    *(words *)more = 128 * ((up & (to - from)) | (~up & (from - to)));
    *(words *)part = (up & WORDS(pixels->to)) | (~up & WORDS(pixels->from));
}

/* Two rows of cells at a block of pixels, of 32640, as OpenCV has it: shares of 2048, and four bits less. */
INLINE void enlarged(const u8 *one, const u8 *other, const cells_of *pixels, ptrdiff_t at, u16 *restrict out) {
    u16 more[2 * BLOCK], part[2 * BLOCK];
    for (ptrdiff_t x = 0; x < BLOCK; x += HALF, at++) {
        const pixels_between *own = pixels->ways + pixels->which[at];
        between_cells(one + pixels->firsts[at], own, out + x, more + x, part + x);
        between_cells(other + pixels->firsts[at], own, out + BLOCK + x, more + BLOCK + x, part + BLOCK + x);
    }
    for (int x = 0; x < 2 * BLOCK; x++) out[x] = (u16)(out[x] + (u16)((more[x] * (uint32_t)part[x]) >> 16));
}

/* Says where pixels lie between cells; after so many half blocks that is the same again. */
INLINE void lie_between(int side, ptrdiff_t blocks, ptrdiff_t period, int32_t *firsts, int32_t *which, pixels_between *ways,
                        u16 *parts) {
    const int half = side / 2;
    for (int beside = 0; beside < side; beside++) parts[beside] = (u16)lrint((2 * beside + (side % 2 == 0)) * 1024.0 / side);
    for (ptrdiff_t one = 0; one < 2 * blocks; one++) {
        const ptrdiff_t from = one * HALF + side - half; /* one cell further on, so that it is none below 0 */
        firsts[one] = (int32_t)(from / side);
        which[one] = (int32_t)(one % period);
    }
    for (ptrdiff_t one = 0; one < period; one++) {
        const ptrdiff_t from = one * HALF + side - half;
        for (int x = 0; x < HALF; x++) {
            const int behind = (int)((from + x) / side - from / side), part = parts[(from + x) % side];
            ways[one].behind[x] = (u8)behind;
            ways[one].ahead[x] = (u8)(part ? behind + 1 : behind); /* There is no share of all in sixteen bits. */
            ways[one].to[x] = (u16)(32 * part);
            ways[one].from[x] = (u16)(32 * (2048 - part));
        }
    }
}

/* What of a row of cells lies under each block, from its first to its last cell; where it is hard, cells of which less
 * than half stays do not. */
INLINE void under_blocks(const u8 *cells, ptrdiff_t columns, const int32_t *firsts, const int32_t *lasts, int hard,
                         u8 *restrict under, ptrdiff_t blocks) {
    typedef uint64_t eight __attribute__((aligned(1), may_alias));
    const uint64_t looked_at = hard ? UINT64_C(0x8080808080808080) : UINT64_MAX;
    ptrdiff_t left = 0, right = columns;
    while (left + 8 <= columns && *(const eight *)(cells + left) == UINT64_MAX) left += 8;
    while (right - 8 >= left && *(const eight *)(cells + right - 8) == UINT64_MAX) right -= 8;
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const ptrdiff_t first = firsts[block], last = lasts[block];
        if (last < left || first >= right) {
            under[block] = BARE;
            continue;
        }
        uint64_t any = 0, all = UINT64_MAX;
        if (last - first >= 7) {
            for (ptrdiff_t x = first; x <= last - 7; x += 8) {
                any |= *(const eight *)(cells + x);
                all &= *(const eight *)(cells + x);
            }
            any |= *(const eight *)(cells + last - 7);
            all &= *(const eight *)(cells + last - 7);
        } else {
            for (ptrdiff_t x = first; x <= last; x++) {
                any |= cells[x];
                all &= UINT64_C(0x0101010101010101) * cells[x];
            }
        }
        under[block] = (u8)((any & looked_at ? BARE : 0) | (~all & looked_at ? COVERED : 0));
    }
}

INLINE void between(const u16 *restrict above, const u16 *restrict below, u16 part, u8 *restrict to) {
    const u16 rest = (u16)(2048 - part);
    for (int one = 0; one < BLOCK; one++) { /* In this form compilers take the processor's own high products. */
        const u16 first = (u16)((above[one] * (uint32_t)rest) >> 16), last = (u16)((below[one] * (uint32_t)part) >> 16);
        to[one] = (u8)((u16)(first + last + 2) >> 2);
    }
}

/* Half a block of a plane's row. */
INLINE void covered_half(u8 *samples, half_bytes keep, const u8 *cover, u8 value, int hard) {
    if (hard) { /* Squares end without a transition. */
        const half_bytes bare = (half_bytes)(keep > 127);
        *(half_bytes *)samples = (*(const half_bytes *)samples & bare) | (*(const half_bytes *)cover & ~bare);
        return;
    }
    NARROW(samples, mixed(WIDE(samples), __builtin_convertvector(keep, words), each(value)));
}

/* What a row has of half a block. */
INLINE void covered_part(const canvas_plane *plane, u8 *row, ptrdiff_t x, half_bytes keep, int hard) {
    const ptrdiff_t wide = plane->columns - x;
    if (wide >= HALF) {
        covered_half(row + x, keep, plane->cover + x, (u8)plane->value, hard);
    } else if (wide > 0) {
        u8 last[HALF] = {0};
        memcpy(last, row + x, (size_t)wide);
        covered_half(last, keep, plane->cover + x, (u8)plane->value, hard);
        memcpy(row + x, last, (size_t)wide);
    }
}

/* Rows of a plane from a column to another, of which nothing stays. */
INLINE void covered_wholly(const canvas_plane *plane, ptrdiff_t top, ptrdiff_t bottom, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t end = to < plane->columns ? to : plane->columns;
    for (ptrdiff_t y = top; y < bottom; y++) {
        u8 *row = plane->samples + y * plane->stride;
        ptrdiff_t x = from;
        for (; x + HALF <= end; x += HALF) *(half_bytes *)(row + x) = *(const half_bytes *)(plane->cover + x);
        if (x < end) memcpy(row + x, plane->cover + x, (size_t)(end - x));
    }
}

/* Shares of so many rows of a block, from one on below the middles of a row of cells. */
INLINE void shared(const cells_of *pixels, ptrdiff_t at, const u8 *one, const u8 *other, ptrdiff_t first, ptrdiff_t count,
                   u8 *shares) {
    u16 both[2 * BLOCK];
    enlarged(one, other, pixels, 2 * at, both);
    for (ptrdiff_t y = 0; y < count; y++) between(both, both + BLOCK, pixels->parts[first + y], shares + y * BLOCK);
}

/* Half a block of a row of chroma, by the shares of two rows of pixels. */
INLINE void covered_chroma(const canvas_plane *planes, int count, ptrdiff_t y, ptrdiff_t x, const u8 *one, const u8 *other,
                           int hard) {
    const half_bytes keep = __builtin_convertvector(quarters(one, other), half_bytes);
    for (int plane = 1; plane < count; plane++)
        covered_part(planes + plane, planes[plane].samples + y / 2 * planes[plane].stride, x / 2, keep, hard);
}

/* Rows of pixels that lie alike between two rows of cells, or some of them. */
typedef struct {
    ptrdiff_t top, bottom, width, height;
    const u8 *classes, *before; /* of blocks, and of those of the rows before where a row of chroma stands for these too */
    u8 *shares, *last; /* of the rows of a block, and of the last row of all where another row of chroma stands for it */
} rows_kept;

/* A block of which some stays, or of which some did in the row before. */
INLINE void covered_block(const canvas_plane *planes, int count, int twice, const rows_kept *kept, ptrdiff_t at, int hard) {
    static const u8 none[BLOCK] = {0};
    static const u8 all[BLOCK] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const u8 class = kept->classes[at], *alike = class == NONE ? none : all;
    const u8 *rows = class == SOME ? kept->shares : alike;
    const ptrdiff_t x = at * BLOCK, stride = class == SOME ? BLOCK : 0, top = kept->top, bottom = kept->bottom;
    for (int plane = 0; plane < (twice ? 1 : count) && class != ALL; plane++)
        for (ptrdiff_t y = top; y < bottom; y++) {
            if (hard && x + BLOCK <= kept->width) {
                u8 *there = planes[plane].samples + y * planes[plane].stride + x;
                const bytes bare = (bytes)(LOAD(rows + (y - top) * stride) > 127);
                STORE(there, (LOAD(there) & bare) | (LOAD(planes[plane].cover + x) & ~bare));
                continue;
            }
            for (int more = 0; more < BLOCK; more += HALF)
                covered_part(planes + plane, planes[plane].samples + y * planes[plane].stride, x + more,
                             *(const half_bytes *)(rows + (y - top) * stride + more), hard);
        }
    if (!twice) return;
    if (kept->before != NULL) {
        const u8 was = kept->before[at];
        covered_chroma(planes, count, top, x, was == SOME ? kept->last + x : was == NONE ? none : all, rows, hard);
    }
    for (ptrdiff_t y = top + top % 2; y < bottom && class != ALL; y += 2) {
        const ptrdiff_t second = y + 1 < kept->height ? y + 1 : y;
        if (second < bottom)
            covered_chroma(planes, count, y, x, rows + (y - top) * stride, rows + (second - top) * stride, hard);
    }
    if (class == SOME && bottom % 2) memcpy(kept->last + x, rows + (bottom - 1 - top) * stride, BLOCK);
}

/* Asks memory for two blocks of rows that come later, as those mostly are covered too. */
INLINE void asked_below(const canvas_plane *planes, int count, ptrdiff_t top, ptrdiff_t bottom, ptrdiff_t x) {
    for (int plane = 0; plane < count; plane++) {
        const canvas_plane *own = planes + plane;
        const int shift = own->step - 1;
        if ((x >> shift) % (2 * BLOCK)) continue; /* These came with the last ones. */
        const ptrdiff_t last = (bottom + shift) >> shift, end = last < own->rows ? last : own->rows;
        const u8 *there = own->samples + (x >> shift);
        for (ptrdiff_t y = top >> shift; y < end; y++) __builtin_prefetch(there + y * own->stride, 1);
    }
}

/* A row of cells, with as many beyond its ends as are looked at. */
INLINE void lined_up(const u8 *cells, ptrdiff_t columns, u8 *out) {
    memset(out, cells[0], 1);
    memcpy(out + 1, cells, (size_t)columns);
    memset(out + 1 + columns, cells[columns - 1], BEYOND - 1);
}

/* Covers all that cells say.
 *
 * bare: of cells of `side` pixels, one after the other, 0 where they are covered to 255 where they are not.
 * places: of each plane its address, its stride, pixels that a sample stands for each way (1 or 2), and its value.
 * block: the side of squares in pixels, which stand for the values; 0 for none.
 * scratch: as many bytes as `cover.py` says.
 */
EXPORT void stream_cover(const u8 *bare, int side, ptrdiff_t height, ptrdiff_t width, int count, const int64_t *places,
                         ptrdiff_t block, void *scratch) {
    const ptrdiff_t rows = (height + side - 1) / side, columns = (width + side - 1) / side;
    const ptrdiff_t wide = (columns * side + side + 2 * BLOCK - 1) / BLOCK * BLOCK + 2 * BLOCK;
    const ptrdiff_t blocks = (width + BLOCK - 1) / BLOCK, half = side / 2;
    const ptrdiff_t lined_size = columns + BEYOND;
    ptrdiff_t period = side;
    while (period % 2 == 0 && side / period < HALF) period /= 2; /* A half block is a power of two. */
    int32_t *firsts = scratch, *lasts = firsts + blocks, *starts = lasts + blocks, *which = starts + 2 * blocks;
    pixels_between *ways = (pixels_between *)(which + 2 * blocks);
    u16 *parts = (u16 *)(ways + period), *sums = parts + side + side % 2;
    u8 *under = (u8 *)(sums + 3 * wide), *classes = under + 2 * blocks, *before = classes + blocks;
    u8 *shares = before + blocks;
    u8 *last = shares + side * BLOCK, *covers = last + wide, *small = covers + 3 * wide;
    u8 *wanted = small + wide, *all = wanted + wide, *lined = all + wide, *band = lined + 2 * lined_size;
    const cells_of pixels = {starts, which, ways, parts};
    canvas_plane planes[3];
    int twice = 0;
    for (int one = 0; one < count; one++) {
        const int64_t *place = places + 4 * one;
        const int step = (int)place[2];
        planes[one] = (canvas_plane){(u8 *)(intptr_t)place[0], (ptrdiff_t)place[1], (height + step - 1) / step,
                                     (width + step - 1) / step, step, (int)place[3], covers + one * wide};
        memset(covers + one * wide, block ? 0 : planes[one].value, (size_t)wide);
        twice |= step == 2;
    }
    lie_between(side, blocks, period, starts, which, ways, parts);
    for (ptrdiff_t one = 0; one < blocks; one++) {
        const ptrdiff_t left = one * BLOCK - half, right = left + BLOCK - 1;
        const ptrdiff_t first = left < 0 ? 0 : left / side, last = right < 0 ? 0 : right / side + 1;
        firsts[one] = (int32_t)(first < columns ? first : columns - 1);
        lasts[one] = (int32_t)(last < columns ? last : columns - 1);
    }
    /* Between two such rows no pixel of which more than half stays lies, nor of which less does; but where a sample of
     * chroma stands for pixels on both sides of a row of cells, shares themselves count. */
    const int hard = block && !(twice && half % 2);
    memset(classes, ALL, (size_t)blocks);
    under_blocks(bare, columns, firsts, lasts, hard, under, blocks);
    lined_up(bare, columns, lined);
    const ptrdiff_t ahead = block ? block : 4 * side; /* until they are looked at */
    ptrdiff_t of_squares = -1;
    int were = 0;
    for (ptrdiff_t line = -1; half + line * side < height; line++) {
        const ptrdiff_t top = line < 0 ? 0 : half + line * side, end = half + (line + 1) * side;
        const ptrdiff_t bottom = end < height ? end : height;
        const ptrdiff_t one = line < 0 ? 0 : line, other = line + 1 < rows ? line + 1 : rows - 1;
        const u8 *above = under + one % 2 * blocks, *below = under + other % 2 * blocks;
        const u8 *cells = lined + one % 2 * lined_size, *next_cells = lined + other % 2 * lined_size;
        if (other != one) {
            under_blocks(bare + other * columns, columns, firsts, lasts, hard, under + other % 2 * blocks, blocks);
            lined_up(bare + other * columns, columns, lined + other % 2 * lined_size);
        }
        u8 *earlier = before;
        before = classes, classes = earlier;
        int any = 0;
        for (ptrdiff_t x = 0; x < blocks; x++) {
            const u8 both = above[x] | below[x];
            classes[x] = both == (BARE | COVERED) ? SOME : both == BARE ? ALL : NONE;
            any |= classes[x] != ALL;
        }
        /* Rows of chroma stand for two, which may lie between other rows of cells. */
        const int apart = twice && top % 2;
        if (!any && !(apart && were)) continue;
        were = any;
        for (ptrdiff_t from = top; from < bottom;) {
            /* As far as squares end, too. */
            const ptrdiff_t next = block ? (from / block + 1) * block : bottom, to = next < bottom ? next : bottom;
            if (block && any && from / block != of_squares) {
                of_squares = from / block;
                const ptrdiff_t across = (width + block - 1) / block;
                wanted_of(bare, rows, columns, side, of_squares * block, block, wanted, across, all);
                for (int plane = 0; plane < count; plane++)
                    squares(planes + plane, of_squares * block / planes[plane].step, block, wanted, across, small, band,
                            sums);
            }
            for (ptrdiff_t at = 0; at < blocks; at += 2)
                if (classes[at] != ALL || (at + 1 < blocks && classes[at + 1] != ALL))
                    asked_below(planes, count, from + ahead, to + ahead, at * BLOCK);
            const ptrdiff_t below_cell = (from + side - half) % side;
            const rows_kept kept = {from, to, width, height, classes, apart && from == top ? before : NULL, shares, last};
            for (ptrdiff_t at = 0; at < blocks; at++) {
                const u8 class = classes[at], was = kept.before ? before[at] : class;
                if (class == ALL && was == ALL) continue;
                if (class == NONE && was == NONE) {
                    const ptrdiff_t start = at * BLOCK;
                    while (at + 1 < blocks && classes[at + 1] == NONE && (!kept.before || before[at + 1] == NONE)) at++;
                    for (int plane = 0; plane < count; plane++) {
                        const int shift = planes[plane].step - 1;
                        /* Rows of chroma that go on below are covered with these. */
                        const ptrdiff_t end = (to + (to == height)) >> shift;
                        covered_wholly(planes + plane, from >> shift, shift ? end : to, start >> shift,
                                       (at + 1) * BLOCK >> shift);
                    }
                    continue;
                }
                if (class == SOME) {
                    shared(&pixels, at, cells, next_cells, below_cell, to - from, shares);
                    const ptrdiff_t beyond = width - at * BLOCK;
                    for (ptrdiff_t y = 0; width % 2 && beyond < BLOCK && y < to - from; y++)
                        shares[y * BLOCK + beyond] = shares[y * BLOCK + beyond - 1];
                }
                if (block)
                    covered_block(planes, count, twice, &kept, at, 1);
                else
                    covered_block(planes, count, twice, &kept, at, 0);
            }
            from = to;
        }
    }
}
