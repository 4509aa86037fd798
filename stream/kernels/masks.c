/* Masks of a few cells at the pixels of a picture. */
#include "common.h"

#ifndef SOURCE
#define SOURCE 0
#endif

/* A number that stands for these files as they were compiled. */
VISIBLE int stream_source(void) { return SOURCE; }

/* Whether this processor has what these files are compiled for a second time with. */
VISIBLE int stream_quick(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

/* Along one axis: between which cells, counted with one of zeros in front, each pixel's middle lies, and how far from
 * the first of them to the next. */
static void positions(ptrdiff_t first, ptrdiff_t last, double low, double high, int cells, int32_t *cell, float *part) {
    const double offset = 0.5 - low, scale = cells / (high - low);
    for (ptrdiff_t at = first; at < last; at++) {
        double position = ((double)at + offset) * scale + 0.5;
        position = position > 0 ? position : 0;
        position = position < cells + 1 ? position : cells + 1;
        const int32_t whole = (int32_t)position;
        cell[at - first] = whole;
        part[at - first] = (float)(position - whole);
    }
}

/* Cells of a mask, row after row, each of which is to be taken so many times. */
typedef struct {
    const float *cells;
    int rows, columns;
    float gain;
} Mask;

/* One row of a mask, counted with one of zeros in front, between a zero before and two after. */
INLINE void row_of_mask(const Mask *mask, int row, float *into) {
    if (row < 1 || row > mask->rows) {
        memset(into, 0, sizeof(float) * (size_t)(mask->columns + 3));
        return;
    }
    into[0] = into[mask->columns + 1] = into[mask->columns + 2] = 0;
    const float *cells = mask->cells + (ptrdiff_t)(row - 1) * mask->columns;
    for (int column = 0; column < mask->columns; column++) into[column + 1] = cells[column] * mask->gain;
}

/* What a value becomes: whether it is above `level`; or itself and `level`, rounded, of 0 to 255, or what was there if
 * that is more. */
enum { ABOVE = 0, ROUNDED = 1, RAISED = 2 };

/* Returns whether anything was raised. */
INLINE int sampled(const float *restrict base, const float *restrict step, float part, float level, int how,
                    u8 *restrict out, int count) {
    float value[BLOCK];
    u8 found[BLOCK];
    if (how == ABOVE) {
        for (int x = 0; x < BLOCK; x++) found[x] = step[x] * part + base[x] > level;
    } else {
        for (int x = 0; x < BLOCK; x++) value[x] = step[x] * part + base[x] + level;
        rounded(value, found);
    }
    int any = 0;
    if (how == RAISED) {
        u8 there[BLOCK] = {0};
        for (int x = count; x < BLOCK; x++) found[x] = 0;
        any = any_bit(LOAD(found));
        if (count == BLOCK)
            STORE(there, LOAD(out));
        else
            memcpy(there, out, (size_t)count);
        for (int x = 0; x < BLOCK; x++) found[x] = found[x] > there[x] ? found[x] : there[x];
    }
    if (count == BLOCK)
        STORE(out, LOAD(found));
    else
        memcpy(out, found, (size_t)count);
    return any;
}

/* What lies at pixels between two cells of two rows each: of the first row, and the second's difference to it.
 *
 * across, part: of each pixel the first cell and how far from it to the next, of which there are LANES.
 */
INLINE void between_cells(const float *upper, const float *lower, const int32_t *across, const float *part,
                          float *base, float *step) {
    const int32_t first = across[0];
    if (across[LANES - 1] - first >= LANES) {
        for (int at = 0; at < LANES; at++) {
            const int column = across[at];
            base[at] = (upper[column + 1] - upper[column]) * part[at] + upper[column];
            step[at] = (lower[column + 1] - lower[column]) * part[at] + lower[column] - base[at];
        }
        return;
    }
    const codes which = *(const codes *)across - (uint32_t)first;
    const floats above = FLOATS(upper + first), below = FLOATS(lower + first), share = FLOATS(part);
    const floats right = FLOATS(upper + first + 1) - above, under = FLOATS(lower + first + 1) - below;
    const floats one = picked(right, which) * share + picked(above, which);
    PUT(base, one);
    PUT(step, picked(under, which) * share + picked(below, which) - one);
}

/* Writes a value into some rows of a block. */
INLINE void filled(u8 *out, ptrdiff_t stride, ptrdiff_t rows, u8 value, int count) {
    const bytes all = value - (bytes){0};
    for (ptrdiff_t y = 0; y < rows; y++) {
        if (count == BLOCK)
            STORE(out + y * stride, all);
        else
            memset(out + y * stride, value, (size_t)count);
    }
}

/* How many pixels from `at` on lie between the same two cells. */
INLINE ptrdiff_t alike(const int32_t *cell, ptrdiff_t at, ptrdiff_t end) {
    ptrdiff_t stop = at + 1;
    while (stop < end && cell[stop] == cell[at]) stop++;
    return stop;
}

/* Samples a mask at the pixels of a window; scratch: 8 bytes for each of its rows and columns, 16 for each of the mask's
 * columns, and 512. Returns whether anything was raised. */
INLINE int sample(const Mask *mask, const double *box, const ptrdiff_t *window, float level, int how, u8 *out,
                   ptrdiff_t stride, void *scratch) {
    const ptrdiff_t height = window[1] - window[0], width = window[3] - window[2];
    int32_t *down = scratch, *across = down + height;
    /* Blocks end after the window, and what is taken at once after the mask. */
    float *down_part = (float *)(across + width + BLOCK), *across_part = down_part + height;
    float *upper = across_part + width + BLOCK, *lower = upper + mask->columns + 3 + LANES;
    float *lows = lower + mask->columns + 3 + LANES, *highs = lows + mask->columns + 3;
    positions(window[0], window[1], box[1], box[3], mask->rows, down, down_part);
    positions(window[2], window[3], box[0], box[2], mask->columns, across, across_part);
    for (ptrdiff_t x = width; x < width + BLOCK; x++) {
        across[x] = across[width - 1];
        across_part[x] = 0;
    }
    memset(upper, 0, sizeof(float) * (size_t)(mask->columns + 3 + LANES));
    memset(lower, 0, sizeof(float) * (size_t)(mask->columns + 3 + LANES));
    /* Far enough from where it counts that no rounding on the way brings a value there. */
    const float none = how == ABOVE ? level : 0.5f - level, all = how == ABOVE ? level : 254.5f - level;
    const float near = 1e-5f * (1 + (none < 0 ? -none : none) + (all < 0 ? -all : all));
    const u8 most = how == ABOVE ? 1 : 255;
    int any = 0;
    for (ptrdiff_t y = 0, next; y < height; y = next) {
        const int row = down[y];
        next = alike(down, y, height);
        row_of_mask(mask, row, upper);
        row_of_mask(mask, row + 1, lower);
        for (int column = 0; column < mask->columns + 3; column++) {
            const float one = upper[column], other = lower[column];
            lows[column] = one < other ? one : other;
            highs[column] = one < other ? other : one;
        }
        for (ptrdiff_t x = 0; x < width; x += BLOCK) {
            const int count = (int)(width - x < BLOCK ? width - x : BLOCK);
            const int first = across[x], last = across[x + count - 1] + 1;
            float low = lows[first], high = highs[first];
            for (int column = first + 1; column <= last; column++) {
                low = lows[column] < low ? lows[column] : low;
                high = highs[column] > high ? highs[column] : high;
            }
            if (high < none - near || low > all + near) {
                const u8 value = high < none - near ? 0 : most;
                any |= value;
                if (how != RAISED || value) filled(out + y * stride + x, stride, next - y, value, count);
                continue;
            }
            float base[BLOCK], step[BLOCK];
            for (int at = 0; at < BLOCK; at += LANES)
                between_cells(upper, lower, across + x + at, across_part + x + at, base + at, step + at);
            for (ptrdiff_t line = y; line < next; line++)
                any |= sampled(base, step, down_part[line], level, how, out + line * stride + x, count);
        }
    }
    return any;
}

INLINE int soft(const float *cells, int rows, int columns, float gain, const float *corners, const int64_t *lines,
                float offset, int how, u8 *out, ptrdiff_t stride, void *scratch) {
    const Mask mask = {cells, rows, columns, gain};
    const double box[4] = {corners[0], corners[1], corners[2], corners[3]};
    const ptrdiff_t window[4] = {(ptrdiff_t)lines[0], (ptrdiff_t)lines[1], (ptrdiff_t)lines[2], (ptrdiff_t)lines[3]};
    return sample(&mask, box, window, offset, how, out, stride, scratch);
}

/* A mask, so many times, and an offset at the pixels of a window, bilinearly; rounded, of 0 to 255. */
EXPORT void stream_soft(const float *cells, int rows, int columns, float gain, const float *corners,
                        const int64_t *lines, float offset, u8 *out, void *scratch) {
    soft(cells, rows, columns, gain, corners, lines, offset, ROUNDED, out, columns_of(lines), scratch);
}

/* `stream_soft` of many masks, the most of them at each pixel of a plane.
 *
 * falls: the gain and the offset of each; found: becomes whether anything of each is more than 0.
 */
EXPORT void stream_union(ptrdiff_t count, const float *cells, int rows, int columns, const float *boxes,
                         const int64_t *windows, const float *falls, u8 *plane, ptrdiff_t stride, void *scratch,
                         u8 *found) {
    for (ptrdiff_t index = 0; index < count; index++) {
        const int64_t *window = windows + 4 * index;
        found[index] = 0;
        if (rows_of(window) < 1 || columns_of(window) < 1) continue;
        u8 *there = plane + window[0] * stride + window[2];
        found[index] = soft(cells + index * rows * columns, rows, columns, falls[2 * index], boxes + 4 * index, window,
                            falls[2 * index + 1], RAISED, there, stride, scratch) != 0;
    }
}

/* Where a mask is above `level`, 1 or 0, at the pixels of a window, with a rim around it.
 *
 * top: becomes the first row in which it is anywhere, and the middle one of its columns in the row an eighth of the
 * window further down, or the first one of the first row; -1 where it is nowhere.
 */
INLINE void paste_object(const Mask *mask, const double *box, const ptrdiff_t *window, float level, u8 *out,
                         ptrdiff_t stride, ptrdiff_t rim, void *scratch, int64_t *top) {
    const ptrdiff_t height = window[1] - window[0], width = window[3] - window[2];
    sample(mask, box, window, level, ABOVE, out, stride, scratch);
    ptrdiff_t first = 0;
    const u8 *found = NULL;
    while (first < height && (found = memchr(out + first * stride, 1, (size_t)width)) == NULL) first++;
    top[0] = top[1] = -1;
    if (first == height) return;
    rim_around(out, stride, height, width, rim);
    top[0] = first;
    top[1] = found - (out + first * stride);
    const ptrdiff_t lower = first + height / 8 < height - 1 ? first + height / 8 : height - 1;
    const u8 *row = out + lower * stride;
    ptrdiff_t many = 0;
    for (ptrdiff_t x = 0; x < width; x++) many += row[x];
    for (ptrdiff_t x = 0, seen = 0; x < width && many; x++) {
        if (row[x] && seen == many / 2) {
            top[1] = x;
            break;
        }
        seen += row[x];
    }
}

/* Where a mask of so many cells may be above a threshold within a picture, in whole pixels; returns whether anywhere.
 * See `roi.mask_window`. */
INLINE int window_of_mask(const float *box, int rows, int columns, int height, int width, double threshold, double *lines) {
    const double x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3], reach = 0.5 - threshold;
    if (!(x2 > x1 && y2 > y1 && isfinite(x2 - x1) && isfinite(y2 - y1))) return 0;
    const double fade_y = (y2 - y1) / rows * reach, fade_x = (x2 - x1) / columns * reach;
    /* Within what a whole number holds before it becomes one. */
    lines[0] = most_of(0, floor(y1 - fade_y));
    lines[1] = least_of(height, ceil(y2 + fade_y));
    lines[2] = most_of(0, floor(x1 - fade_x));
    lines[3] = least_of(width, ceil(x2 + fade_x));
    return lines[3] > lines[2] && lines[1] > lines[0];
}

/* Where a mask may be above a threshold, `margin` pixels around it included, on a grid within the picture: four numbers,
 * all 0 where nowhere. Returns how many pixels it has with a rim of the margin. */
INLINE int64_t window_on_grid(const float *box, int rows, int columns, int height, int width, double threshold,
                              int grid_rows, int grid_columns, int margin, int64_t *window) {
    double lines[4];
    memset(window, 0, 4 * sizeof(int64_t));
    if (!window_of_mask(box, rows, columns, height, width, threshold, lines)) return 0;
    int64_t first = (int64_t)most_of(0, lines[0] - margin), before = (int64_t)most_of(0, lines[2] - margin);
    int64_t last = (int64_t)lines[1] + margin, after = (int64_t)lines[3] + margin;
    first -= first % grid_rows;
    before -= before % grid_columns;
    last += (grid_rows - last % grid_rows) % grid_rows;
    after += (grid_columns - after % grid_columns) % grid_columns;
    window[0] = first;
    window[1] = last < height ? last : height;
    window[2] = before;
    window[3] = after < width ? after : width;
    return (rows_of(window) + 2 * margin) * (columns_of(window) + 2 * margin);
}

/* An object of a picture: where it lies, `top` of `paste_object`, at which byte its first pixel is, and how many small
 * pieces and holes its mask has. */
typedef struct {
    int64_t window[4], top[2], start, pieces;
} Pasted;

/* `paste_object` of many masks of one size, where they may be above a threshold; what comes of each lies after the one
 * before.
 *
 * most: bytes of `out`; where they are not enough nothing is pasted.
 * scratch: what `sample` takes for the whole picture, or `stream_pieces`.
 * Returns how many bytes it takes. */
VISIBLE int64_t stream_objects(ptrdiff_t count, const float *cells, int rows, int columns, const float *boxes, int height,
                               int width, double threshold, int grid_rows, int grid_columns, int margin, double part,
                               int64_t most, u8 *out, u8 *scratch, Pasted *found) {
    int64_t taken = 0;
    for (ptrdiff_t index = 0; index < count; index++) {
        Pasted *one = found + index;
        const int64_t takes = window_on_grid(boxes + 4 * index, rows, columns, height, width, threshold, grid_rows,
                                             grid_columns, margin, one->window);
        one->top[0] = one->top[1] = -1;
        one->start = taken + margin * (columns_of(one->window) + 2 * margin) + margin;
        one->pieces = 0;
        taken += takes;
    }
    if (taken > most) return taken;
    for (ptrdiff_t index = 0; index < count; index++) {
        Pasted *one = found + index;
        if (rows_of(one->window) < 1 || columns_of(one->window) < 1) continue;
        const Mask mask = {cells + index * rows * columns, rows, columns, 1};
        const int64_t *from = one->window;
        const ptrdiff_t window[4] = {(ptrdiff_t)from[0], (ptrdiff_t)from[1], (ptrdiff_t)from[2], (ptrdiff_t)from[3]};
        double box[4];
        for (int edge = 0; edge < 4; edge++) box[edge] = boxes[4 * index + edge];
        paste_object(&mask, box, window, (float)threshold, out + one->start, columns_of(from) + 2 * margin, margin,
                     scratch, one->top);
        if (one->top[0] >= 0) one->pieces = stream_pieces(1, mask.cells, rows, columns, (float)threshold, part, scratch, 0, NULL);
    }
    return taken;
}

/* How masks fall off at their edges, as `mattes.fall_of` has it: where they lie, all 0 where nowhere, and the gain and the
 * offset of each. Returns whether what they fall over is too much for any of them, so that it has to be averaged. */
VISIBLE int stream_falls(ptrdiff_t count, const float *boxes, int rows, int columns, int height, int width,
                         double threshold, double feather, int held, int64_t *windows, float *falls) {
    const double slope = 0.5, widest = held ? 0.9 * threshold : 1.8 * least_of(threshold, 1 - threshold);
    int averaged = 0;
    for (ptrdiff_t index = 0; index < count; index++) {
        const float *box = boxes + 4 * index;
        int64_t *window = windows + 4 * index;
        double lines[4];
        memset(window, 0, 4 * sizeof(int64_t));
        falls[2 * index] = falls[2 * index + 1] = 0;
        if (!window_of_mask(box, rows, columns, height, width, threshold, lines)) continue;
        const double x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
        const double cell = sqrt(most_of(0, (x2 - x1) * (y2 - y1)) / (rows * columns));
        const double band = least_of(widest, most_of(1e-3, feather * slope / most_of(cell, 1e-3)));
        const double low = threshold - (held ? band : band / 2), gain = 255 / band;
        averaged |= feather - band / slope * cell >= 1;
        if (!window_of_mask(box, rows, columns, height, width, low, lines)) continue;
        for (int line = 0; line < 4; line++) window[line] = (int64_t)lines[line];
        falls[2 * index] = (float)gain;
        falls[2 * index + 1] = (float)(0.5 - low * gain);
    }
    return averaged;
}
