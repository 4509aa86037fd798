/* Every so many samples of a plane. */
#include "common.h"

/* Takes every so many samples of every so many rows, from the first on.
 *
 * rows, columns: of what is taken, one row after the other.
 */
VISIBLE void stream_sparse(const u8 *samples, ptrdiff_t stride, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t columns,
                           u8 *restrict out) {
    for (ptrdiff_t y = 0; y < rows; y++, out += columns) {
        const u8 *const row = samples + y * step * stride;
        if (y + 1 < rows) /* These are asked for meanwhile: nobody else has looked at the picture yet. */
            for (ptrdiff_t x = 0; x < columns * step; x += 64) __builtin_prefetch(row + step * stride + x);
        for (ptrdiff_t x = 0; x < columns; x++) out[x] = row[x * step];
    }
}
