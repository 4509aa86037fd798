/* Covering objects: cells enlarged to shares of pixels, and a colour or squares where they say so. */
#include "squares.h"

#define TWO (2 * BLOCK) /* samples of luma for a block of chroma */

enum { BARE = 1, COVERED = 2 }; /* whether there are cells under a block that stay, and that do not */

/* What lies beside each other and stays alike: blocks, from one on to before another. */
typedef struct {
    int32_t from, to, class;
} block_run;

/* Rows of pixels between two rows of cells, which lie alike. */
typedef struct {
    u16 *above, *below; /* shares of the two rows of cells, where blocks are SOME */
    u8 *classes, *before; /* of blocks of luma, and of those of the rows before */
    block_run *runs, *halved; /* of luma and of chroma, but for those that stay */
    ptrdiff_t count, halved_count, blocks;
    u8 *shares[2]; /* of two rows of pixels, where blocks are SOME */
} rows_kept;

/* Shares of the cell behind and of the one before, of 2048, at each pixel between two cells' middles, times 32; as
 * OpenCV has them. Whole vectors are read of them. */
typedef struct {
    u16 *to, *from;
} parts_of;

/* A row of cells at pixels' middles, of 32640, as OpenCV has it: shares of 2048, and four bits less. */
INLINE void enlarged(const u8 *cells, ptrdiff_t count, int side, const parts_of *parts, u16 *out, ptrdiff_t first,
                     ptrdiff_t last) {
    const int half = side / 2;
    if (first <= 0)
        for (int x = 0; x < half; x++) out[x] = (u16)(128 * cells[0]);
    for (ptrdiff_t at = first > 0 ? first - 1 : 0; at < last; at++) {
        const int from = cells[at], to = cells[at + 1 < count ? at + 1 : count - 1], up = to > from;
        const u16 base = (u16)(128 * (up ? from : to)), more = (u16)(128 * (up ? to - from : from - to));
        u16 *restrict there = out + at * side + half;
        ptrdiff_t end = at + 1;
        while (end < last && cells[end] == from) end++;
        if (end > at + 2) { /* Most cells are as those beside them. */
            const ptrdiff_t wide = (end - 1 - at) * side;
            const words alike = each((u16)(128 * from));
            for (ptrdiff_t x = 0; x < wide; x += HALF) *(words *)(there + x) = alike;
            at = end - 2;
            continue;
        }
        /* The next one writes over what is too much. */
        const u16 *restrict part = up ? parts->to : parts->from;
        if (side <= LANES) {
            for (int x = 0; x < LANES; x++) there[x] = (u16)(base + (u16)(((uint32_t)more * part[x]) >> 16));
        } else {
            for (int k = 0; k < side; k += HALF)
                for (int x = 0; x < HALF; x++)
                    there[k + x] = (u16)(base + (u16)(((uint32_t)more * part[k + x]) >> 16));
        }
        if (side % 2) there[0] = (u16)(128 * from); /* There is no share of all in sixteen bits. */
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

/* Blocks beside each other of which some of each or nothing stays. */
INLINE ptrdiff_t runs_of(const u8 *classes, ptrdiff_t blocks, block_run *runs) {
    ptrdiff_t count = 0;
    for (ptrdiff_t block = 0; block < blocks;) {
        const ptrdiff_t from = block++;
        while (block < blocks && classes[block] == classes[from]) block++;
        if (classes[from] != ALL) runs[count++] = (block_run){(int32_t)from, (int32_t)block, classes[from]};
    }
    return count;
}

INLINE void between(const u16 *restrict above, const u16 *restrict below, u16 part, u8 *restrict to) {
    const u16 rest = (u16)(2048 - part);
    for (int one = 0; one < BLOCK; one++) { /* In this form compilers take the processor's own high products. */
        const u16 first = (u16)((above[one] * (uint32_t)rest) >> 16), last = (u16)((below[one] * (uint32_t)part) >> 16);
        to[one] = (u8)((u16)(first + last + 2) >> 2);
    }
}

INLINE void covered_block(u8 *samples, bytes keep, const u8 *cover, u8 value) {
    if (cover != NULL) { /* Squares end without a transition. */
        const bytes bare = (bytes)(keep > 127);
        STORE(samples, (LOAD(samples) & bare) | (LOAD(cover) & ~bare));
        return;
    }
    const u8 *part = (const u8 *)&keep;
    for (int x = 0; x < BLOCK; x += HALF) NARROW(samples + x, mixed(WIDE(samples + x), WIDE(part + x), each(value)));
}

/* A block of a plane's row, or what the row has of it. */
INLINE void covered_part(const canvas_plane *plane, u8 *row, ptrdiff_t x, bytes keep) {
    const u8 *cover = plane->cover == NULL ? NULL : plane->cover + x;
    const ptrdiff_t wide = plane->columns - x;
    if (wide >= BLOCK) {
        covered_block(row + x, keep, cover, (u8)plane->value);
        return;
    }
    u8 last[BLOCK] = {0};
    memcpy(last, row + x, (size_t)wide);
    covered_block(last, keep, cover, (u8)plane->value);
    memcpy(row + x, last, (size_t)wide);
}

/* Blocks of a plane's row of which nothing stays. */
INLINE void covered_wholly(const canvas_plane *plane, u8 *row, const block_run *run) {
    const ptrdiff_t from = (ptrdiff_t)run->from * BLOCK, end = (ptrdiff_t)run->to * BLOCK;
    const ptrdiff_t to = end < plane->columns ? end : plane->columns;
    if (from >= to) return;
    if (plane->cover != NULL)
        memcpy(row + from, plane->cover + from, (size_t)(to - from));
    else
        memset(row + from, plane->value, (size_t)(to - from));
}

/* One row of a plane, by runs of its blocks and their shares. */
INLINE void covered_row(const canvas_plane *plane, u8 *row, const block_run *runs, ptrdiff_t count, const u8 *shares) {
    for (const block_run *run = runs; run < runs + count; run++) {
        if (run->class == NONE) {
            covered_wholly(plane, row, run);
            continue;
        }
        for (ptrdiff_t x = (ptrdiff_t)run->from * BLOCK; x < (ptrdiff_t)run->to * BLOCK && x < plane->columns; x += BLOCK)
            covered_part(plane, row, x, LOAD(shares + x));
    }
}

/* Shares of a block, where they lie or as they all are. */
INLINE const u8 *shares_at(const u8 *classes, const u8 *shares, ptrdiff_t block) {
    static const u8 none[BLOCK] = {0};
    static const u8 all[BLOCK] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    return classes[block] == SOME ? shares + block * BLOCK : classes[block] == NONE ? none : all;
}

/* A row of shares of chroma, of which a sample stands for two of luma each way, by two rows of them and their classes. */
INLINE void halve_shares(const rows_kept *kept, const u8 *before, const u8 *one, const u8 *other, u8 *out) {
    for (const block_run *run = kept->halved; run < kept->halved + kept->halved_count; run++) {
        if (run->class == NONE) continue;
        for (ptrdiff_t block = 2 * (ptrdiff_t)run->from; block < 2 * (ptrdiff_t)run->to; block++)
            NARROW(out + block * HALF, quarters(shares_at(before, one, block), shares_at(kept->classes, other, block)));
    }
}

/* Which blocks of chroma lie under blocks of luma that are alike, in two rows of them. */
INLINE void halve_runs(rows_kept *kept, const u8 *before, u8 *restrict scratch) {
    const u8 *own = kept->classes;
    const ptrdiff_t blocks = kept->blocks / 2;
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const u8 class = own[2 * block];
        const int alike = own[2 * block + 1] == class && before[2 * block] == class && before[2 * block + 1] == class;
        scratch[block] = alike ? class : SOME;
    }
    kept->halved_count = runs_of(scratch, blocks, kept->halved);
}

/* What lies between two rows of cells: which blocks stay, and shares of both rows where some of each does. */
INLINE void lie_between(rows_kept *kept, const u8 *one, const u8 *other, const u8 *under_one, const u8 *under_other,
                        ptrdiff_t columns, int side, const parts_of *parts) {
    u8 *before = kept->before;
    kept->before = kept->classes;
    kept->classes = before;
    u8 *restrict classes = kept->classes;
    const ptrdiff_t blocks = kept->blocks;
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const u8 under = under_one[block] | under_other[block];
        classes[block] = under == (BARE | COVERED) ? SOME : under == BARE ? ALL : NONE;
    }
    kept->count = runs_of(kept->classes, kept->blocks, kept->runs);
    u16 *known = kept->below;
    kept->below = kept->above;
    kept->above = known;
    for (ptrdiff_t at = 0; at < kept->count; at++) {
        const block_run *run = kept->runs + at;
        if (run->class != SOME) continue;
        int again = 1; /* The row above was the one below before. */
        for (ptrdiff_t block = run->from; block < run->to; block++) again &= kept->before[block] == SOME;
        /* From the cell behind the first pixel to the one before the last. */
        const ptrdiff_t left = (ptrdiff_t)run->from * BLOCK - side / 2, right = (ptrdiff_t)run->to * BLOCK - 1 - side / 2;
        const ptrdiff_t first = left < 0 ? 0 : left / side + 1, end = right < 0 ? 1 : right / side + 1;
        const ptrdiff_t last = end < columns ? end : columns;
        for (int which = again; which < 2; which++) {
            u16 *to = which ? kept->below : kept->above;
            enlarged(which ? other : one, columns, side, parts, to, first, last);
            for (ptrdiff_t x = columns * side; x < (ptrdiff_t)run->to * BLOCK; x++) to[x] = to[columns * side - 1];
        }
    }
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
    const ptrdiff_t wide = (columns * side + side + HALF + TWO - 1) / TWO * TWO + TWO;
    const ptrdiff_t blocks = (width + TWO - 1) / TWO * 2, half = side / 2;
    const int phases = (side + HALF - 1) / HALF * HALF;
    block_run *runs = scratch;
    int32_t *firsts = (int32_t *)(runs + 2 * blocks), *lasts = firsts + blocks;
    u16 *shared = (u16 *)(lasts + blocks), *sums = shared + 2 * wide;
    const parts_of parts = {sums + 3 * wide, sums + 3 * wide + phases};
    u8 *under = (u8 *)(parts.from + phases), *next_under = under + blocks;
    u8 *classes = next_under + blocks, *halves = classes + 2 * blocks, *shares = halves + blocks;
    u8 *of_chroma = shares + 2 * wide, *covers = of_chroma + wide, *small = covers + 3 * wide, *wanted = small + wide, *all = wanted + wide;
    u8 *band = all + wide;
    rows_kept kept = {shared, shared + wide, classes, classes + blocks, runs, runs + blocks, 0, 0, blocks,
                      {shares, shares + wide}};
    canvas_plane planes[3];
    int twice = 0;
    for (int one = 0; one < count; one++) {
        const int64_t *place = places + 4 * one;
        const int step = (int)place[2];
        planes[one] = (canvas_plane){(u8 *)(intptr_t)place[0], (ptrdiff_t)place[1], (height + step - 1) / step,
                                     (width + step - 1) / step, step, (int)place[3], block ? covers + one * wide : NULL};
        twice |= step == 2;
    }
    if (block) memset(covers, 0, (size_t)(3 * wide));
    for (int k = 0; k < phases; k++) {
        const int part = (int)lrint((2 * (k < side ? k : 0) + (side % 2 == 0)) * 1024.0 / side);
        parts.to[k] = (u16)(32 * part);
        parts.from[k] = (u16)(32 * (2048 - part));
    }
    for (ptrdiff_t one = 0; one < blocks; one++) {
        const ptrdiff_t left = one * BLOCK - half, right = left + BLOCK - 1;
        const ptrdiff_t first = left < 0 ? 0 : left / side, last = right < 0 ? 0 : right / side + 1;
        firsts[one] = (int32_t)(first < columns ? first : columns - 1);
        lasts[one] = (int32_t)(last < columns ? last : columns - 1);
    }
    /* Between two such rows no pixel of which more than half stays lies, nor of which less does; but where a sample of
     * chroma stands for pixels on both sides of a row of cells, shares themselves count. */
    const int hard = block && !(twice && half % 2);
    memset(classes, ALL, (size_t)(2 * blocks));
    under_blocks(bare, columns, firsts, lasts, hard, next_under, blocks);
    ptrdiff_t of_squares = -1;
    for (ptrdiff_t line = -1; half + line * side < height; line++) {
        const ptrdiff_t top = line < 0 ? 0 : half + line * side, end = half + (line + 1) * side;
        const ptrdiff_t bottom = end < height ? end : height;
        const ptrdiff_t one = line < 0 ? 0 : line, other = line + 1 < rows ? line + 1 : rows - 1;
        const ptrdiff_t were = kept.count;
        u8 *known = next_under;
        next_under = under, under = known;
        if (other != one)
            under_blocks(bare + other * columns, columns, firsts, lasts, hard, next_under, blocks);
        else
            memcpy(next_under, under, (size_t)blocks);
        lie_between(&kept, bare + one * columns, bare + other * columns, under, next_under, columns, side, &parts);
        if (!kept.count && !were) continue;
        if (twice) halve_runs(&kept, kept.classes, halves);
        for (ptrdiff_t y = top; y < bottom; y++) {
            u8 *share = kept.shares[y % 2];
            const u16 part = (u16)(parts.to[(y + side - half) % side] / 32);
            for (ptrdiff_t at = 0; at < kept.count; at++) {
                const block_run *run = kept.runs + at;
                if (run->class != SOME) continue;
                for (ptrdiff_t x = (ptrdiff_t)run->from * BLOCK; x < (ptrdiff_t)run->to * BLOCK; x += BLOCK)
                    between(kept.above + x, kept.below + x, part, share + x);
            }
            if (width % 2) share[width] = share[width - 1];
            if (block && y / block != of_squares && kept.count) {
                of_squares = y / block;
                const ptrdiff_t across = (width + block - 1) / block;
                wanted_of(bare, rows, columns, side, of_squares * block, block, wanted, across, all);
                for (int plane = 0; plane < count; plane++)
                    squares(planes + plane, of_squares * block / planes[plane].step, block, wanted, across, small, band,
                            sums);
            }
            for (int plane = 0; plane < count; plane++)
                if (planes[plane].step == 1)
                    covered_row(planes + plane, planes[plane].samples + y * planes[plane].stride, kept.runs, kept.count,
                                share);
            if (!twice || (y % 2 == 0 && y < height - 1)) continue;
            /* Rows of chroma stand for two, which may lie between other rows of cells. */
            const int apart = y % 2 && y == top;
            if (apart) halve_runs(&kept, kept.before, halves);
            halve_shares(&kept, apart ? kept.before : kept.classes, kept.shares[0], share, of_chroma);
            for (int plane = 0; plane < count; plane++)
                if (planes[plane].step == 2)
                    covered_row(planes + plane, planes[plane].samples + y / 2 * planes[plane].stride, kept.halved,
                                kept.halved_count, of_chroma);
            if (apart) halve_runs(&kept, kept.classes, halves);
        }
    }
}
