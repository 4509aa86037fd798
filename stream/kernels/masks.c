/* Masks of a few cells at the pixels of a picture. */
#include "common.h"

#ifndef SOURCE
#define SOURCE 0
#endif

/* A number that stands for these files as they were compiled. */
VISIBLE int stream_source(void) { return SOURCE; }

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

/* What a value becomes: whether it is above `level`, or itself and `level`, rounded, of 0 to 255. */
enum { ABOVE = 0, ROUNDED = 1 };

INLINE void sampled(const float *restrict base, const float *restrict step, float part, float level, int how,
                    u8 *restrict out, int count) {
    u8 found[BLOCK];
    for (int x = 0; x < BLOCK; x++) {
        const float value = step[x] * part + base[x];
        if (how == ABOVE) {
            found[x] = value > level;
        } else {
            float code = value + level;
            code = code > 0 ? code : 0;
            code = code < 255 ? code : 255;
            found[x] = (u8)(int)((code + 8388608.0f) - 8388608.0f); /* Halves to the even one. */
        }
    }
    if (count == BLOCK)
        memcpy(out, found, BLOCK);
    else
        memcpy(out, found, (size_t)count);
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

/* Samples a mask at the pixels of a window; scratch: 8 bytes for each of its rows and columns and each of the mask's
 * columns and three more. */
INLINE void sample(const Mask *mask, const double *box, const ptrdiff_t *window, float level, int how, u8 *out,
                   ptrdiff_t stride, void *scratch) {
    const ptrdiff_t height = window[1] - window[0], width = window[3] - window[2];
    int32_t *down = scratch, *across = down + height;
    float *down_part = (float *)(across + width), *across_part = down_part + height;
    float *upper = across_part + width, *lower = upper + mask->columns + 3;
    positions(window[0], window[1], box[1], box[3], mask->rows, down, down_part);
    positions(window[2], window[3], box[0], box[2], mask->columns, across, across_part);
    /* Far enough from where it counts that no rounding on the way brings a value there. */
    const float none = how == ABOVE ? level : 0.5f - level, all = how == ABOVE ? level : 254.5f - level;
    const float near = 1e-5f * (1 + (none < 0 ? -none : none) + (all < 0 ? -all : all));
    const u8 most = how == ABOVE ? 1 : 255;
    for (ptrdiff_t y = 0, next; y < height; y = next) {
        const int row = down[y];
        next = alike(down, y, height);
        row_of_mask(mask, row, upper);
        row_of_mask(mask, row + 1, lower);
        for (ptrdiff_t x = 0; x < width; x += BLOCK) {
            const int count = (int)(width - x < BLOCK ? width - x : BLOCK);
            const int first = across[x], last = across[x + count - 1] + 1;
            float low = upper[first], high = low;
            for (int column = first; column <= last; column++) {
                const float one = upper[column], other = lower[column];
                const float less = one < other ? one : other, more = one < other ? other : one;
                low = less < low ? less : low;
                high = more > high ? more : high;
            }
            if (high < none - near || low > all + near) {
                const u8 value = high < none - near ? 0 : most;
                filled(out + y * stride + x, stride, next - y, value, count);
                continue;
            }
            float base[BLOCK], step[BLOCK];
            for (int at = count; at < BLOCK; at++) base[at] = step[at] = 0;
            for (int at = 0; at < count; at++) {
                const int column = across[x + at];
                const float part = across_part[x + at];
                const float one = (upper[column + 1] - upper[column]) * part + upper[column];
                const float other = (lower[column + 1] - lower[column]) * part + lower[column];
                base[at] = one;
                step[at] = other - one;
            }
            for (ptrdiff_t line = y; line < next; line++)
                sampled(base, step, down_part[line], level, how, out + line * stride + x, count);
        }
    }
}

/* A mask, so many times, and an offset at the pixels of a window, bilinearly; rounded, of 0 to 255. */
EXPORT void stream_soft(const float *cells, int rows, int columns, float gain, const float *corners,
                        const int64_t *lines, float offset, u8 *out, void *scratch) {
    const Mask mask = {cells, rows, columns, gain};
    const double box[4] = {corners[0], corners[1], corners[2], corners[3]};
    const ptrdiff_t window[4] = {(ptrdiff_t)lines[0], (ptrdiff_t)lines[1], (ptrdiff_t)lines[2], (ptrdiff_t)lines[3]};
    sample(&mask, box, window, offset, ROUNDED, out, window[3] - window[2], scratch);
}

/* Puts what is more than 0 of samples into others that are less; returns whether there is any. */
INLINE int raise_to(u8 *restrict out, ptrdiff_t stride, const u8 *restrict samples, ptrdiff_t rows, ptrdiff_t columns) {
    int any = 0;
    for (ptrdiff_t y = 0; y < rows; y++, out += stride, samples += columns) {
        u8 found = 0;
        for (ptrdiff_t x = 0; x < columns; x++) {
            found |= samples[x];
            out[x] = out[x] > samples[x] ? out[x] : samples[x];
        }
        any |= found;
    }
    return any != 0;
}

/* `stream_soft` of many masks, the most of them at each pixel of a plane.
 *
 * falls: the gain and the offset of each; found: becomes whether anything of each is more than 0.
 * scratch: as for sampling, and before that the largest window.
 */
EXPORT void stream_union(ptrdiff_t count, const float *cells, int rows, int columns, const float *boxes,
                         const int64_t *windows, const float *falls, u8 *plane, ptrdiff_t stride, u8 *soft,
                         void *scratch, u8 *found) {
    for (ptrdiff_t index = 0; index < count; index++) {
        const int64_t *window = windows + 4 * index;
        stream_soft(cells + index * rows * columns, rows, columns, falls[2 * index], boxes + 4 * index, window,
                    falls[2 * index + 1], soft, scratch);
        found[index] = (u8)raise_to(plane + window[0] * stride + window[2], stride, soft,
                                    rows_of(window), columns_of(window));
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

/* `paste_object` of many masks of one size; what comes of each lies after the one before.
 *
 * windows: four for each; an empty one where nothing is to be done.
 */
EXPORT void stream_paste(ptrdiff_t count, const float *cells, int rows, int columns, const float *boxes,
                         const int64_t *windows, float level, ptrdiff_t rim, u8 *out, void *scratch, int64_t *tops) {
    for (ptrdiff_t index = 0; index < count; index++) {
        const Mask mask = {cells + index * rows * columns, rows, columns, 1};
        const int64_t *from = windows + 4 * index;
        const ptrdiff_t window[4] = {(ptrdiff_t)from[0], (ptrdiff_t)from[1], (ptrdiff_t)from[2], (ptrdiff_t)from[3]};
        double box[4];
        for (int edge = 0; edge < 4; edge++) box[edge] = boxes[4 * index + edge];
        int64_t *top = tops + 2 * index;
        top[0] = top[1] = -1;
        if (window[1] <= window[0] || window[3] <= window[2]) continue;
        const ptrdiff_t stride = columns_of(from) + 2 * rim;
        paste_object(&mask, box, window, level, out + rim * stride + rim, stride, rim, scratch, top);
        out += stride * (rows_of(from) + 2 * rim);
    }
}

INLINE double least_of(double one, double other) { return one < other ? one : other; }
INLINE double most_of(double one, double other) { return one > other ? one : other; }

/* Where masks may be above a threshold, `margin` pixels around it included, on a grid within the picture: four numbers
 * each, all 0 where nowhere. Returns how many pixels they have with a rim of the margin. See `roi.mask_window`. */
VISIBLE int64_t stream_windows(ptrdiff_t count, const float *boxes, int rows, int columns, int height, int width,
                               double threshold, int grid_rows, int grid_columns, int margin, int64_t *windows) {
    int64_t pixels = 0;
    const double reach = 0.5 - threshold;
    for (ptrdiff_t index = 0; index < count; index++) {
        const float *box = boxes + 4 * index;
        int64_t *window = windows + 4 * index;
        memset(window, 0, 4 * sizeof(int64_t));
        const double x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
        if (!(x2 > x1 && y2 > y1 && isfinite(x2 - x1) && isfinite(y2 - y1))) continue;
        const double fade_y = (y2 - y1) / rows * reach, fade_x = (x2 - x1) / columns * reach;
        /* Within what a whole number holds before it becomes one. */
        const double left = most_of(0, floor(x1 - fade_x)), right = least_of(width, ceil(x2 + fade_x));
        const double top = most_of(0, floor(y1 - fade_y)), bottom = least_of(height, ceil(y2 + fade_y));
        if (right <= left || bottom <= top) continue;
        int64_t first = (int64_t)most_of(0, top - margin), before = (int64_t)most_of(0, left - margin);
        int64_t last = (int64_t)bottom + margin, after = (int64_t)right + margin;
        first -= first % grid_rows;
        before -= before % grid_columns;
        last += (grid_rows - last % grid_rows) % grid_rows;
        after += (grid_columns - after % grid_columns) % grid_columns;
        window[0] = first;
        window[1] = last < height ? last : height;
        window[2] = before;
        window[3] = after < width ? after : width;
        pixels += (window[1] - window[0] + 2 * margin) * (window[3] - window[2] + 2 * margin);
    }
    return pixels;
}
