/* Which cells of a grid objects and what is around them lie in. */
#include "slits.h"

typedef uint64_t eight __attribute__((aligned(1), may_alias)); /* cells as bytes, or a word of 64 */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Cells are packed as they lie in the memory of processors that begin with the lowest byte."
#endif

/* Where in a grid objects may lie, and how their masks are brought there; returns for how many there is anything to do.
 *
 * soft: of the first so many the masks as floats of 0..1, of so many rows and columns, one after the other; masks: of each
 * of the others where it lies in memory, in whole numbers, its rows and its columns.
 * reaches: how far around each is covered, in pixels.
 * side: of a cell in pixels; rows, columns: of cells; onward: how far masks go on, of their longer side.
 * objects, places: become what `stream_spread` takes; windows: rows and columns of cells of each, its radius in cells, and
 * which of all it is.
 * sizes: becomes how many words the cells of all take, and for the largest (rows + 4) * (columns + 4) of the mask as it goes on, its rows
 * times columns of cells, and those; then the least and the most radius.
 */
VISIBLE ptrdiff_t stream_place(ptrdiff_t count, const float *boxes, const double *reaches, const float *soft,
                               ptrdiff_t soft_count, ptrdiff_t soft_rows, ptrdiff_t soft_columns, const int64_t *masks,
                               int side, ptrdiff_t rows, ptrdiff_t columns, double onward, int64_t *objects,
                               double *places, int64_t *windows, int64_t *sizes) {
    ptrdiff_t found = 0;
    memset(sizes, 0, 6 * sizeof(int64_t));
    for (ptrdiff_t one = 0; one < count; one++) {
        const double x1 = boxes[4 * one], y1 = boxes[4 * one + 1], x2 = boxes[4 * one + 2], y2 = boxes[4 * one + 3];
        if (!(x2 > x1 && y2 > y1)) continue;
        const int64_t own[3] = {(int64_t)(intptr_t)(soft + one * soft_rows * soft_columns), soft_rows, soft_columns};
        const int64_t *mask = one < soft_count ? own : masks + 3 * (one - soft_count), most = mask[1] > mask[2] ? mask[1] : mask[2];
        const double beyond = most_of(1, ceil(onward * (double)most)), radius = most_of(1, ceil(reaches[one] / side));
        /* Of the grid's cells a mask's cell takes so much. */
        const double across = (x2 - x1) / side / (double)mask[2], down = (y2 - y1) / side / (double)mask[1];
        const double left = x1 / side - beyond * across, right = x2 / side + beyond * across;
        const double top = y1 / side - beyond * down, bottom = y2 / side + beyond * down;
        /* It falls to nothing half a mask's cell beyond. */
        const double first = most_of(0, floor(top - down / 2)), last = least_of((double)rows, ceil(bottom + down / 2));
        const double before = most_of(0, floor(left - across / 2));
        const double after = least_of((double)columns, ceil(right + across / 2));
        if (first >= last || before >= after) continue;
        int64_t *object = objects + 8 * found, *window = windows + 6 * found;
        memcpy(object, mask, 3 * sizeof(int64_t));
        object[3] = (int64_t)beyond;
        /* Where the grid is coarser than the mask, the most of it counts. */
        object[4] = (int64_t)least_of(ceil(1 / most_of(down, 0.01)), (double)most);
        object[5] = (int64_t)least_of(ceil(1 / most_of(across, 0.01)), (double)most);
        object[6] = (int64_t)(last - first);
        object[7] = (int64_t)(after - before);
        double *place = places + 4 * found++;
        place[0] = 1 / across;
        place[1] = 1 / down;
        /* From the middles of the grid's cells to the mask's. */
        place[2] = (before + 0.5 - left) / across - 0.5;
        place[3] = (first + 0.5 - top) / down - 0.5;
        window[0] = (int64_t)first;
        window[1] = (int64_t)last;
        window[2] = (int64_t)before;
        window[3] = (int64_t)after;
        window[4] = (int64_t)radius;
        window[5] = one;
        const int64_t high = object[1] + 2 * object[3] + 4, around = high * (object[2] + 2 * object[3] + 4);
        sizes[0] += object[6] * words_between(window[2], window[3]);
        sizes[1] = around > sizes[1] ? around : sizes[1];
        sizes[2] = high * object[7] > sizes[2] ? high * object[7] : sizes[2];
        sizes[3] = object[7] > sizes[3] ? object[7] : sizes[3];
        sizes[4] = found == 1 || window[4] < sizes[4] ? window[4] : sizes[4];
        sizes[5] = window[4] > sizes[5] ? window[4] : sizes[5];
    }
    sizes[1] += (4 - sizes[1] % 4) % 4;
    return found;
}

/* A block of masks in whole numbers of 0..255, rounded upwards, and once, as where a processor multiplies and adds in one
 * step, which OpenCV does. */
INLINE void raised_block(const float *restrict masks, u8 *restrict out) {
    double sums[BLOCK];
    float values[BLOCK];
    for (int one = 0; one < BLOCK; one++) sums[one] = (double)masks[one] * 255 + (double)0.499f;
    for (int one = 0; one < BLOCK; one++) values[one] = fabsf((float)sums[one]);
    rounded(values, out);
}

/* The same of so many numbers. */
INLINE void raised(const float *masks, ptrdiff_t count, u8 *out) {
    ptrdiff_t x = 0;
    for (; x + BLOCK <= count; x += BLOCK) raised_block(masks + x, out + x);
    if (x == count) return;
    float values[BLOCK] = {0};
    u8 codes[BLOCK];
    memcpy(values, masks + x, (size_t)(count - x) * sizeof(float));
    raised_block(values, codes);
    memcpy(out + x, codes, (size_t)(count - x));
}

/* The same, for Python. */
EXPORT void stream_raise(ptrdiff_t count, const float *masks, u8 *out) { raised(masks, count, out); }

/* A mask as it goes on beyond its edge and grown over `tall` rows and `broad` columns, with two rows and columns of
 * nothing around it; as OpenCV grows it, whose middle of an even number is the later one. */
INLINE void grown_mask(const u8 *mask, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t onward, ptrdiff_t tall,
                       ptrdiff_t broad, u8 *out, u8 *scratch) {
    const ptrdiff_t high = rows + 2 * onward, wide = columns + 2 * onward, stride = wide + 4;
    memset(out, 0, (size_t)((high + 4) * stride));
    for (ptrdiff_t y = 0; y < high; y++) {
        const ptrdiff_t from = y < onward ? 0 : y - onward < rows ? y - onward : rows - 1;
        const u8 *row = mask + from * columns;
        u8 *to = scratch + y * wide;
        memset(to, row[0], (size_t)onward);
        memcpy(to + onward, row, (size_t)columns);
        memset(to + onward + columns, row[columns - 1], (size_t)onward);
    }
    /* Down all rows at once, as they lie one after the other. */
    u8 *restrict tallest = scratch + high * wide;
    memcpy(tallest, scratch, (size_t)(high * wide));
    for (ptrdiff_t dy = -(tall / 2); dy < tall - tall / 2; dy++) {
        if (dy <= -high || dy >= high) continue;
        const u8 *restrict from = scratch + dy * wide;
        const ptrdiff_t first = dy < 0 ? -dy * wide : 0, last = dy > 0 ? (high - dy) * wide : high * wide;
        for (ptrdiff_t x = first; x < last; x++) tallest[x] = tallest[x] > from[x] ? tallest[x] : from[x];
    }
    for (ptrdiff_t y = 0; y < high; y++) {
        u8 *restrict to = out + (y + 2) * stride + 2;
        for (ptrdiff_t dx = -(broad / 2); dx < broad - broad / 2; dx++) {
            const u8 *restrict from = tallest + y * wide + dx;
            const ptrdiff_t first = dx < 0 ? -dx : 0, last = dx > 0 ? wide - dx : wide;
            for (ptrdiff_t x = first; x < last; x++) to[x] = to[x] > from[x] ? to[x] : from[x];
        }
    }
}

/* Where between a mask's samples a cell's middle lies, from two before the first, and how far behind that one. */
INLINE int32_t place_of(double step, double from, ptrdiff_t at, ptrdiff_t count, float *behind) {
    const double place = step * (double)at + from, whole = floor(place);
    *behind = (float)(place - whole);
    return (int32_t)(whole < -2 ? 0 : whole > (double)count ? count + 2 : (ptrdiff_t)whole + 2);
}

/* From a column on, the first cell that is 0, or that is not. */
INLINE int64_t next_cell(const eight *row, int64_t x, int64_t end, int none) {
    for (; x < end; x += WORD - x % WORD) {
        const uint64_t cells = (none ? ~row[x / WORD] : row[x / WORD]) >> x % WORD;
        if (!cells) continue;
        x += __builtin_ctzll(cells);
        return x < end ? x : end;
    }
    return end;
}

/* Packs bytes of 0 or 1, as many as some words have bits; returns whether there is any. */
INLINE uint64_t packed(const u8 *cells, int64_t words, eight *out) {
    uint64_t any = 0;
    for (int64_t word = 0; word < words; word++, cells += WORD) {
        uint64_t bits = 0;
        for (int one = 0; one < 8; one++) /* Each byte's lowest bit comes to its place in the highest one. */
            bits |= (*(const eight *)(cells + 8 * one) * UINT64_C(0x0102040810204080)) >> 56 << (8 * one);
        out[word] = bits;
        any |= bits;
    }
    return any;
}

/* Which cells objects lie in; returns how many have some.
 *
 * soft_count: so many of all have masks of floats.
 * objects: of each where its mask lies, rows and columns of that, how far it goes on, rows and columns it is grown over,
 * and rows and columns of cells.
 * places: of each, columns and rows of the mask for one cell's, and where the first cell's middle lies.
 * windows: from `stream_place`.
 * out: becomes those cells, of one object after the other: each row's words, a bit for each cell, from that on where the
 * window begins; 1 where the mask is above `least`.
 * halves: where numbers lie that `stream_join` takes.
 * items: becomes what it takes; which: of all, for each of these.
 * scratch: for the largest, four times (rows + 4) * (columns + 4) of the mask as it goes on, then 4 bytes for each of its
 * rows and column of cells, then 8 for each column of cells and for each of its own, and
 * one for each column of cells and 128.
 */
EXPORT ptrdiff_t stream_spread(ptrdiff_t count, ptrdiff_t soft_count, const int64_t *objects, const double *places, const int64_t *windows,
                               float least, int64_t halves, eight *out, int64_t *items, int64_t *which, u8 *scratch,
                               ptrdiff_t masks_size, ptrdiff_t wider_size) {
    ptrdiff_t found = 0;
    u8 *const codes = scratch + 3 * masks_size; /* of a mask of floats */
    float *wider = (float *)(codes + masks_size); /* the mask's rows at the middles of columns of cells */
    int32_t *lefts = (int32_t *)(wider + wider_size);
    for (ptrdiff_t one = 0; one < count; one++, objects += 8, places += 4, windows += 6) {
        const eight *const cells = out;
        const ptrdiff_t onward = (ptrdiff_t)objects[3], high = (ptrdiff_t)objects[1] + 2 * onward,
                        wide = (ptrdiff_t)objects[2] + 2 * onward, stride = wide + 4;
        const ptrdiff_t rows = (ptrdiff_t)objects[6], columns = (ptrdiff_t)objects[7];
        float *behinds = (float *)(lefts + columns);
        const u8 *mask = (const u8 *)(intptr_t)objects[0];
        if (windows[5] < soft_count) {
            raised((const float *)(intptr_t)objects[0], (ptrdiff_t)(objects[1] * objects[2]), codes);
            mask = codes;
        }
        grown_mask(mask, (ptrdiff_t)objects[1], (ptrdiff_t)objects[2], onward,
                   (ptrdiff_t)objects[4], (ptrdiff_t)objects[5], scratch, scratch + masks_size);
        for (ptrdiff_t x = 0; x < columns; x++) lefts[x] = place_of(places[0], places[2], x, wide, behinds + x);
        float *restrict firsts = behinds + columns, *restrict rises = firsts + stride;
        for (ptrdiff_t y = 0; y < high + 4; y++) {
            const u8 *restrict row = scratch + y * stride;
            for (ptrdiff_t x = 0; x < stride - 1; x++) firsts[x] = (float)row[x], rises[x] = (float)(row[x + 1] - row[x]);
            float *restrict to = wider + y * columns;
            for (ptrdiff_t x = 0; x < columns; x++) {
                /* One by one: processors take longer to gather them. */
                const int32_t left = *(const volatile int32_t *)(lefts + x);
                to[x] = firsts[left] + rises[left] * behinds[x];
            }
        }
        const int64_t words = words_between(windows[2], windows[3]), beside = windows[2] % WORD;
        u8 *const line = (u8 *)(rises + stride); /* a row of cells as bytes */
        memset(line, 0, (size_t)(words * WORD));
        ptrdiff_t top = rows, bottom = 0, left = columns, right = 0;
        for (ptrdiff_t y = 0; y < rows; y++, out += words) {
            float below;
            const float *restrict row = wider + place_of(places[1], places[3], y, high, &below) * columns;
            const float *restrict next = row + columns;
            u8 *restrict to = line + beside;
            for (ptrdiff_t x = 0; x < columns; x++) to[x] = row[x] + (next[x] - row[x]) * below > least;
            if (!packed(line, words, out)) continue;
            int64_t word = words - 1;
            while (!out[word]) word--;
            const ptrdiff_t first = (ptrdiff_t)(next_cell(out, 0, words * WORD, 0) - beside);
            const ptrdiff_t last = (ptrdiff_t)((word + 1) * WORD - beside) - __builtin_clzll(out[word]);
            top = y < top ? y : top;
            bottom = y + 1;
            left = first < left ? first : left;
            right = last > right ? last : right;
        }
        if (top >= bottom) continue;
        int64_t *item = items + 8 * found;
        item[0] = windows[0] + top;
        item[1] = windows[0] + bottom;
        item[2] = windows[2] + left;
        item[3] = windows[2] + right;
        item[4] = (int64_t)(intptr_t)(cells + top * words + (item[2] / WORD - windows[2] / WORD));
        item[5] = 8 * words;
        item[6] = windows[4];
        item[7] = halves;
        which[found++] = windows[5];
    }
    return found;
}

#define MOST_RUNS 8 /* of a row that are kept */

/* Cells of a row beside each other, from one on to before another. */
typedef struct {
    int32_t count, from[MOST_RUNS], to[MOST_RUNS];
} cell_runs;

/* Covers cells of a row, as many around each as it reaches. */
INLINE void covered_cells(u8 *row, int64_t from, int64_t to, ptrdiff_t columns) {
    const int64_t left = from > 0 ? from : 0, right = to < columns ? to : columns;
    memset(row + left, 1, (size_t)(right - left));
}

/* Covers what is around cells: of each row of them, in rows up to a radius away, as many beside it as `halves` says.
 *
 * runs: memory for as many as the window has rows.
 */
INLINE void grown_into(u8 *covered, const eight *inside, const int64_t *window, int64_t radius, const int64_t *halves,
                       ptrdiff_t rows, ptrdiff_t columns, cell_runs *runs) {
    int32_t most = 0;
    for (int64_t line = window[0]; line < window[1]; line++) {
        const eight *row = inside + line * words_between(0, columns);
        cell_runs *own = runs + (line - window[0]);
        own->count = 0;
        for (int64_t x = window[2]; (x = next_cell(row, x, window[3], 0)) < window[3];) {
            const int64_t from = x;
            x = next_cell(row, x, window[3], 1);
            if (own->count < MOST_RUNS) {
                own->from[own->count] = (int32_t)from;
                own->to[own->count++] = (int32_t)x;
                continue;
            }
            for (int64_t down = -radius; down <= radius; down++) {
                const int64_t y = line + down, half = halves[down + radius];
                if (y >= 0 && y < rows) covered_cells(covered + y * columns, from - half, x + half, columns);
            }
        }
        most = own->count > most ? own->count : most;
    }
    const int64_t end = window[1] + radius < rows ? window[1] + radius : rows;
    for (int64_t y = window[0] > radius ? window[0] - radius : 0; y < end; y++) {
        const int64_t above = y - radius > window[0] ? y - radius : window[0];
        const int64_t below = y + radius + 1 < window[1] ? y + radius + 1 : window[1];
        for (int32_t one = 0; one < most; one++) {
            /* What reaches a row from those around it mostly lies in one piece. */
            int64_t left = 0, right = -1;
            for (int64_t line = above; line < below; line++) {
                const cell_runs *own = runs + (line - window[0]);
                if (own->count <= one) continue;
                const int64_t half = halves[y - line + radius], from = own->from[one] - half, to = own->to[one] + half;
                if (from > right || to < left) {
                    if (left < right) covered_cells(covered + y * columns, left, right, columns);
                    left = from, right = to;
                    continue;
                }
                left = from < left ? from : left;
                right = to > right ? to : right;
            }
            if (left < right) covered_cells(covered + y * columns, left, right, columns);
        }
    }
}

/* How far cells are bare where objects are covered, and what is around each: 255 where they are wholly, 0 where three of
 * the nine around them are covered.
 *
 * items: of each rows and columns of cells, y1 to y2 and x1 to x2; where the word of the first of these lies in memory, in
 * bits that are 1 where it is covered, and how many bytes a row of words lies after the one before; a radius, and where numbers lie of as many rows before and after it and its own: how many cells beside it.
 * scratch: 68 bytes for each row, then rows * columns, a row and 2 more, and 8 for each word of all rows.
 */
EXPORT void stream_join(u8 *bare, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, const int64_t *items, u8 *scratch) {
    cell_runs *runs = (cell_runs *)scratch;
    u8 *covered = (u8 *)(runs + rows), *restrict sums = covered + rows * columns + 1;
    eight *const inside = (eight *)(sums + columns + 1);
    const int64_t wide = words_between(0, columns);
    ptrdiff_t first = rows, end = 0;
    memset(covered, 0, (size_t)(rows * columns));
    for (ptrdiff_t one = 0; one < count; one++) {
        const int64_t radius = items[8 * one + 6];
        ptrdiff_t known = 0;
        while (items[8 * known + 6] != radius) known++;
        if (known < one) continue;
        /* What is around all that reach as far is found at once. */
        int64_t window[4] = {rows, 0, columns, 0};
        for (ptrdiff_t other = one; other < count; other++) {
            const int64_t *item = items + 8 * other;
            if (item[6] != radius) continue;
            for (int edge = 0; edge < 4; edge += 2) {
                window[edge] = item[edge] < window[edge] ? item[edge] : window[edge];
                window[edge + 1] = item[edge + 1] > window[edge + 1] ? item[edge + 1] : window[edge + 1];
            }
        }
        memset(inside + window[0] * wide, 0, (size_t)(rows_of(window) * wide * 8));
        for (ptrdiff_t other = one; other < count; other++) {
            const int64_t *item = items + 8 * other, *next = item + 8;
            if (item[6] != radius) continue;
            if (other + 1 < count) { /* What was covered lately nobody has looked at since. */
                const u8 *own = (const u8 *)(intptr_t)next[4], *const last = own + rows_of(next) * next[5];
                for (; own < last; own += 64) __builtin_prefetch(own);
            }
            for (int64_t line = 0; line < rows_of(item); line++) {
                eight *there = inside + (item[0] + line) * wide + item[2] / WORD;
                const eight *own = (const eight *)((intptr_t)item[4] + line * item[5]);
                for (int64_t word = words_between(item[2], item[3]); word--;) there[word] |= own[word];
            }
        }
        grown_into(covered, inside, window, radius, (const int64_t *)(intptr_t)items[8 * one + 7], rows, columns,
                   runs);
        const ptrdiff_t top = (ptrdiff_t)(window[0] - radius) - 1 - CLOSED;
        const ptrdiff_t bottom = (ptrdiff_t)(window[1] + radius) + 1 + CLOSED;
        first = top < first ? top : first;
        end = bottom > end ? bottom : end;
    }
    first = first > 0 ? first : 0;
    end = end < rows ? end : rows;
    closed(covered, bare, rows, columns, first, end, sums + 1); /* It ends in `inside`, which nobody needs any more. */
    memset(bare, 255, (size_t)(rows * columns));
    for (ptrdiff_t y = first; y < end; y++) {
        /* Beyond its edges a plane goes on as it is there. */
        const u8 *row = covered + y * columns, *above = y ? row - columns : row, *below = y + 1 < rows ? row + columns : row;
        for (ptrdiff_t x = 0; x < columns; x++) sums[x] = (u8)(above[x] + row[x] + below[x]);
        sums[-1] = sums[0];
        sums[columns] = sums[columns - 1];
        u8 *restrict to = bare + y * columns;
        for (ptrdiff_t x = 0; x < columns; x++) {
            const u8 some = (u8)(sums[x - 1] + sums[x] + sums[x + 1]);
            to[x] = (u8)(255 - 85 * (some < 3 ? some : 3));
        }
    }
}
