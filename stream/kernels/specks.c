/* Which pieces of masks lie apart from the rest, and which holes they have. */
#include "common.h"

/* Cells of a row that are alike, and, where it is its own parent, all that hang together with them. */
typedef struct {
    int32_t first, last, value;
    int32_t parent, area, top, bottom, left, right;
} Run;

INLINE int32_t parent_of(Run *runs, int32_t one) {
    while (runs[one].parent != one) one = runs[one].parent = runs[runs[one].parent].parent;
    return one;
}

INLINE void join_runs(Run *runs, int32_t one, int32_t other) {
    one = parent_of(runs, one);
    other = parent_of(runs, other);
    if (one == other) return;
    Run *stays = runs + (one < other ? one : other), *goes = runs + (one < other ? other : one);
    goes->parent = stays->parent;
    stays->area += goes->area;
    if (goes->bottom > stays->bottom) stays->bottom = goes->bottom;
    if (goes->top < stays->top) stays->top = goes->top;
    if (goes->left < stays->left) stays->left = goes->left;
    if (goes->right > stays->right) stays->right = goes->right;
}

/* Parts a row into runs, and joins them with those of the row before that they touch; how many there are then. */
INLINE int32_t runs_of_row(const u8 *row, int32_t width, int32_t y, Run *runs, int32_t before, int32_t count) {
    const int32_t here = count;
    for (int32_t x = 0; x < width;) {
        const int32_t first = x, value = row[x];
        while (x < width && row[x] == value) x++;
        while (before < here && runs[before].last <= first) before++;
        runs[count] = (Run){first, x, value, count, x - first, y, y + 1, first, x};
        for (int32_t above = before; above < here && runs[above].first < x; above++)
            if (runs[above].value == value) join_runs(runs, above, count);
        count++;
    }
    return count;
}

/* The pieces of masks, each cell with those above, below and beside it, and their holes, that are small; of masks that
 * have several, or holes, only. What is around a mask is none of it.
 *
 * part: of a mask's cells; four times as many and four more are small.
 * scratch: for a row of cells and two more, rounded up to 8 bytes, and for as many runs as a mask has cells with one more
 * on each side.
 * found: of each its mask, whether it is a piece, and its row, column, height and width in cells; at most so many are
 * written down.
 * Returns how many there are. */
EXPORT int64_t stream_pieces(int64_t count, const float *masks, int64_t rows, int64_t columns, float threshold,
                             double part, u8 *scratch, int64_t most, int32_t *found) {
    const int32_t width = (int32_t)columns + 2;
    u8 *row = scratch;
    Run *runs = (Run *)(scratch + (width + 7) / 8 * 8);
    int64_t many = 0;
    for (int64_t one = 0; one < count; one++, masks += rows * columns) {
        int32_t before = 0, last = 0;
        memset(row, 0, (size_t)columns + 2);
        last = runs_of_row(row, width, 0, runs, 0, 0);
        for (int64_t y = 0; y < rows; y++) {
            for (int64_t x = 0; x < columns; x++) row[x + 1] = masks[y * columns + x] > threshold;
            const int32_t next = last;
            last = runs_of_row(row, width, (int32_t)y + 1, runs, before, last);
            before = next;
        }
        memset(row, 0, (size_t)columns + 2);
        last = runs_of_row(row, width, (int32_t)rows + 1, runs, before, last);
        int32_t pieces[2] = {0, 0};
        int64_t cells = 0;
        for (int32_t at = 0; at < last; at++) {
            cells += runs[at].value ? runs[at].last - runs[at].first : 0;
            pieces[runs[at].value] += runs[at].parent == at;
        }
        const double small = 4 + 4 * part * (double)cells;
        for (int value = 1; value >= 0; value--) {
            if (pieces[value] < 2) continue;
            for (int32_t at = 0; at < last; at++) {
                const Run *run = runs + at;
                if (run->parent != at || run->value != value || run->area > small) continue;
                if (many++ >= most) continue;
                const int32_t place[] = {(int32_t)one, value, run->top - 1, run->left - 1,
                                         run->bottom - run->top, run->right - run->left};
                memcpy(found, place, sizeof(place));
                found += 6;
            }
        }
    }
    return many;
}
