/* Which cells of a grid objects and what is around them lie in. */
#include "common.h"

/* Where in a grid objects may lie, and how their masks are brought there; returns for how many there is anything to do.
 *
 * masks: of each where it lies in memory, its rows and its columns; reaches: how far around each is covered, in pixels.
 * side: of a cell in pixels; rows, columns: of cells; onward: how far masks go on, of their longer side.
 * objects, places: become what `stream_spread` takes; windows: rows and columns of cells of each, its radius in cells, and
 * which of all it is.
 */
VISIBLE ptrdiff_t stream_place(ptrdiff_t count, const float *boxes, const double *reaches, const int64_t *masks, int side,
                               ptrdiff_t rows, ptrdiff_t columns, double onward, int64_t *objects, double *places,
                               int64_t *windows) {
    ptrdiff_t found = 0;
    for (ptrdiff_t one = 0; one < count; one++) {
        const double x1 = boxes[4 * one], y1 = boxes[4 * one + 1], x2 = boxes[4 * one + 2], y2 = boxes[4 * one + 3];
        if (!(x2 > x1 && y2 > y1)) continue;
        const int64_t *mask = masks + 3 * one, most = mask[1] > mask[2] ? mask[1] : mask[2];
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
    }
    return found;
}

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

/* Which cells objects lie in.
 *
 * objects: of each where its mask lies, rows and columns of that, how far it goes on, rows and columns it is grown over,
 * and rows and columns of cells; of these the last four come back: the first row and column inside, and rows and
 * columns from there to the last; no rows where none is.
 * places: of each, columns and rows of the mask for one cell's, and where the first cell's middle lies.
 * out: those cells, of one object after the other: `value` where the mask is above `least`, else 0.
 * scratch: for the largest, three times (rows + 4) * (columns + 4) of the mask as it goes on, then 4 bytes for each of its
 * rows and column of cells, then 8 for each column of cells.
 */
EXPORT void stream_spread(ptrdiff_t count, int64_t *objects, const double *places, float least, int value, u8 *out,
                          u8 *scratch, ptrdiff_t masks_size, ptrdiff_t wider_size) {
    float *wider = (float *)(scratch + 3 * masks_size); /* the mask's rows at the middles of columns of cells */
    int32_t *lefts = (int32_t *)(wider + wider_size);
    for (ptrdiff_t one = 0; one < count; one++, objects += 8, places += 4) {
        const ptrdiff_t onward = (ptrdiff_t)objects[3], high = (ptrdiff_t)objects[1] + 2 * onward,
                        wide = (ptrdiff_t)objects[2] + 2 * onward, stride = wide + 4;
        const ptrdiff_t rows = (ptrdiff_t)objects[6], columns = (ptrdiff_t)objects[7];
        float *behinds = (float *)(lefts + columns);
        grown_mask((const u8 *)(intptr_t)objects[0], (ptrdiff_t)objects[1], (ptrdiff_t)objects[2], onward,
                   (ptrdiff_t)objects[4], (ptrdiff_t)objects[5], scratch, scratch + masks_size);
        for (ptrdiff_t x = 0; x < columns; x++) lefts[x] = place_of(places[0], places[2], x, wide, behinds + x);
        for (ptrdiff_t y = 0; y < high + 4; y++)
            for (ptrdiff_t x = 0; x < columns; x++) {
                const u8 *two = scratch + y * stride + lefts[x];
                wider[y * columns + x] = (float)two[0] + (float)(two[1] - two[0]) * behinds[x];
            }
        ptrdiff_t top = rows, bottom = 0, left = columns, right = 0;
        for (ptrdiff_t y = 0; y < rows; y++, out += columns) {
            float below;
            const float *restrict row = wider + place_of(places[1], places[3], y, high, &below) * columns;
            const float *restrict next = row + columns;
            u8 *restrict to = out;
            for (ptrdiff_t x = 0; x < columns; x++)
                to[x] = (u8)(row[x] + (next[x] - row[x]) * below > least ? value : 0);
            ptrdiff_t first = 0, last = columns;
            while (first < columns && !out[first]) first++;
            if (first == columns) continue;
            while (!out[last - 1]) last--;
            top = y < top ? y : top;
            bottom = y + 1;
            left = first < left ? first : left;
            right = last > right ? last : right;
        }
        objects[4] = top;
        objects[5] = left;
        objects[6] = bottom > top ? bottom - top : 0;
        objects[7] = right > left ? right - left : 0;
    }
}

/* Covers what is around cells: of each row of them, in rows up to a radius away, as many beside it as `halves` says. */
INLINE void grown_into(u8 *covered, const u8 *inside, const int64_t *window, int64_t radius, const int64_t *halves,
                       ptrdiff_t rows, ptrdiff_t columns) {
    for (int64_t line = window[0]; line < window[1]; line++) {
        const u8 *row = inside + line * columns;
        for (int64_t x = window[2]; x < window[3]; x++) {
            if (!row[x]) continue;
            const int64_t from = x;
            while (x < window[3] && row[x]) x++;
            for (int64_t down = -radius; down <= radius; down++) {
                const int64_t y = line + down, half = halves[down + radius];
                if (y < 0 || y >= rows) continue;
                const int64_t left = from - half > 0 ? from - half : 0, right = x + half < columns ? x + half : columns;
                memset(covered + y * columns + left, 1, (size_t)(right - left));
            }
        }
    }
}

/* What is not 0 in either of two short rows; what is left at the end is done once more with what is before it. */
INLINE void united(u8 *there, const u8 *own, ptrdiff_t count) {
    typedef uint64_t eight __attribute__((aligned(1), may_alias));
    typedef uint64_t sixteen __attribute__((vector_size(16), aligned(1), may_alias));
    if (count >= 16) {
        for (ptrdiff_t x = 0;; x = x + 32 > count ? count - 16 : x + 16) {
            *(sixteen *)(there + x) |= *(const sixteen *)(own + x);
            if (x + 16 == count) return;
        }
    }
    if (count >= 8) {
        const uint64_t last = *(const eight *)(own + count - 8);
        *(eight *)there |= *(const eight *)own;
        *(eight *)(there + count - 8) |= last;
        return;
    }
    for (ptrdiff_t x = 0; x < count; x++) there[x] |= own[x];
}

/* How far cells are bare where objects are covered, and what is around each: 255 where they are wholly, 0 where three of
 * the nine around them are covered.
 *
 * items: of each rows and columns of cells, y1 to y2 and x1 to x2; where they lie in memory, not 0 where it is covered, and
 * their stride; a radius, and where numbers lie of as many rows before and after it and its own: how many cells beside it.
 * scratch: twice rows * columns, and three rows more.
 */
EXPORT void stream_join(u8 *bare, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, const int64_t *items, u8 *scratch) {
    u8 *covered = scratch, *inside = covered + rows * columns, *sums = inside + rows * columns + 1;
    ptrdiff_t first = rows, end = 0;
    memset(covered, 0, (size_t)(rows * columns));
    memset(bare, 255, (size_t)(rows * columns));
    for (ptrdiff_t one = 0; one < count; one++) {
        const int64_t radius = items[8 * one + 6];
        ptrdiff_t known = 0;
        while (items[8 * known + 6] != radius) known++;
        if (known < one) continue;
        /* What is around all that reach as far is found at once. */
        int64_t window[4] = {rows, 0, columns, 0};
        memset(inside, 0, (size_t)(rows * columns));
        for (ptrdiff_t other = one; other < count; other++) {
            const int64_t *item = items + 8 * other;
            if (item[6] != radius) continue;
            for (int edge = 0; edge < 4; edge += 2) {
                window[edge] = item[edge] < window[edge] ? item[edge] : window[edge];
                window[edge + 1] = item[edge + 1] > window[edge + 1] ? item[edge + 1] : window[edge + 1];
            }
            for (int64_t line = 0; line < rows_of(item); line++) {
                u8 *there = inside + (item[0] + line) * columns + item[2];
                const u8 *own = (const u8 *)(intptr_t)item[4] + line * item[5];
                united(there, own, columns_of(item));
            }
        }
        grown_into(covered, inside, window, radius, (const int64_t *)(intptr_t)items[8 * one + 7], rows, columns);
        const ptrdiff_t top = (ptrdiff_t)(window[0] - radius) - 1, bottom = (ptrdiff_t)(window[1] + radius) + 1;
        first = top < first ? top : first;
        end = bottom > end ? bottom : end;
    }
    first = first > 0 ? first : 0;
    end = end < rows ? end : rows;
    for (ptrdiff_t y = first; y < end; y++) {
        /* Beyond its edges a plane goes on as it is there. */
        const u8 *row = covered + y * columns, *above = y ? row - columns : row, *below = y + 1 < rows ? row + columns : row;
        for (ptrdiff_t x = 0; x < columns; x++) sums[x] = (u8)(above[x] + row[x] + below[x]);
        sums[-1] = sums[0];
        sums[columns] = sums[columns - 1];
        for (ptrdiff_t x = 0; x < columns; x++) {
            const u8 some = (u8)(sums[x - 1] + sums[x] + sums[x + 1]);
            bare[y * columns + x] = (u8)(255 - 85 * (some < 3 ? some : 3));
        }
    }
}
