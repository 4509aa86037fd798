/* Colours of 8 bits as luma and chroma of 10 bits that give every one of them back, and back again. */
#include "common.h"

enum { FRACTION_BITS = 20, MOST_DEEP = 1023, MOST = 255 };

INLINE int bounded(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }
INLINE int mixture(const int32_t *weights, int one, int two, int three) {
    return (weights[0] * one + weights[1] * two + weights[2] * three + weights[3]) >> FRACTION_BITS;
}

/* Makes three planes of pixels with three samples.
 *
 * weights: of each plane, four: of a pixel's three samples and what is added, in 2^20ths; planes and strides: of each. */
EXPORT void stream_deepened(const u8 *pixels, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, const int32_t *weights,
                            u8 *const *planes, const ptrdiff_t *strides) {
    const int32_t *const a = weights, *const b = weights + 4, *const c = weights + 8;
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *restrict const row = pixels + y * stride;
        u16 *restrict const one = (u16 *)(planes[0] + y * strides[0]);
        u16 *restrict const two = (u16 *)(planes[1] + y * strides[1]);
        u16 *restrict const three = (u16 *)(planes[2] + y * strides[2]);
        for (ptrdiff_t x = 0; x < columns; x++) {
            const int first = row[3 * x], second = row[3 * x + 1], third = row[3 * x + 2];
            one[x] = (u16)bounded(mixture(a, first, second, third), MOST_DEEP);
            two[x] = (u16)bounded(mixture(b, first, second, third), MOST_DEEP);
            three[x] = (u16)bounded(mixture(c, first, second, third), MOST_DEEP);
        }
    }
}

/* Makes pixels with three samples of three planes; all is told as above. */
EXPORT void stream_flattened(u8 *pixels, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, const int32_t *weights,
                             const u8 *const *planes, const ptrdiff_t *strides) {
    const int32_t *const a = weights, *const b = weights + 4, *const c = weights + 8;
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *restrict const row = pixels + y * stride;
        const u16 *restrict const one = (const u16 *)(planes[0] + y * strides[0]);
        const u16 *restrict const two = (const u16 *)(planes[1] + y * strides[1]);
        const u16 *restrict const three = (const u16 *)(planes[2] + y * strides[2]);
        for (ptrdiff_t x = 0; x < columns; x++) {
            row[3 * x] = (u8)bounded(mixture(a, one[x], two[x], three[x]), MOST);
            row[3 * x + 1] = (u8)bounded(mixture(b, one[x], two[x], three[x]), MOST);
            row[3 * x + 2] = (u8)bounded(mixture(c, one[x], two[x], three[x]), MOST);
        }
    }
}
