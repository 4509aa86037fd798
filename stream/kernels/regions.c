/* Regions of a picture, bilinearly sampled, as ONNX's RoiAlign defines it.
 *
 * ONNX Runtime's own kernel takes one channel after the other, and float numbers. Here channels lie side by side and
 * are bytes, as a network's layers leave them and want them; each step is rounded as there, so that answers are the
 * same to the last bit.
 */
#include "regions.h"

/* Where a sample lies between two rows or columns. */
typedef struct {
    ptrdiff_t low, high;
    float share; /* of the higher one */
    int outside;
} Between;

static Between between(float at, ptrdiff_t count) {
    Between found = {0, 0, 0.0f, at < -1.0f || at > (float)count};
    if (found.outside) return found;
    at = at > 0.0f ? at : 0.0f;
    found.low = (ptrdiff_t)at;
    if (found.low >= count - 1) {
        found.low = found.high = count - 1;
    } else {
        found.high = found.low + 1;
        found.share = at - (float)found.low;
    }
    return found;
}

/* Bytes of numbers, above a zero; halves to the even one. */
INLINE void levels(const float *restrict sums, ptrdiff_t count, float samples, float level, int zero,
                   u8 *restrict out) {
    const float least = (float)-zero, most = (float)(255 - zero);
    for (ptrdiff_t c = 0; c < count; c++) {
        float value = sums[c] / samples / level;
        value = value > least ? value : least;
        value = value < most ? value : most;
        value += 12582912.0f; /* From here on floats have no fractions, and their last bits are the number. */
        int32_t code;
        memcpy(&code, &value, sizeof(code));
        out[c] = (u8)(code - 0x4B400000 + zero);
    }
}

ptrdiff_t stream_region_room(const Regions *how) {
    return how->channels + (how->channels + 3) / 4; /* sums, and their bytes */
}

EXPORT void stream_region(const Regions *how, const u8 *picture, const float box[4], u8 *out, float *room) {
    const ptrdiff_t channels = how->channels, samples = how->samples;
    const float offset = how->half ? 0.5f : 0.0f;
    const float left = box[0] * how->scale - offset, top = box[1] * how->scale - offset;
    float wide = box[2] * how->scale - offset - left, high = box[3] * how->scale - offset - top;
    if (!how->half) {
        wide = wide > 1.0f ? wide : 1.0f;
        high = high > 1.0f ? high : 1.0f;
    }
    const float across = wide / (float)how->out_columns, down = high / (float)how->out_rows;
    const float count = (float)(samples * samples);
    float *restrict sums = room;
    u8 *bytes = (u8 *)(room + channels);
    for (ptrdiff_t y = 0; y < how->out_rows; y++) {
        for (ptrdiff_t x = 0; x < how->out_columns; x++) {
            for (ptrdiff_t c = 0; c < channels; c++) sums[c] = 0.0f;
            for (ptrdiff_t sample = 0; sample < samples * samples; sample++) {
                const float row = top + (float)y * down + ((float)(sample / samples) + 0.5f) * down / (float)samples;
                const float column =
                    left + (float)x * across + ((float)(sample % samples) + 0.5f) * across / (float)samples;
                const Between vertical = between(row, how->rows), horizontal = between(column, how->columns);
                if (vertical.outside || horizontal.outside) continue;
                const u8 *upper = picture + vertical.low * how->columns * channels;
                const u8 *lower = picture + vertical.high * how->columns * channels;
                const u8 *one = upper + horizontal.low * channels, *two = upper + horizontal.high * channels;
                const u8 *three = lower + horizontal.low * channels, *four = lower + horizontal.high * channels;
                const float below = vertical.share, after = horizontal.share;
                const float above = 1.0f - below, before = 1.0f - after;
                const float shares[4] = {above * before, above * after, below * before, below * after};
                const float level = how->level;
                const int zero = how->zero;
                for (ptrdiff_t c = 0; c < channels; c++) {
                    const float first = (float)(one[c] - zero) * level, second = (float)(two[c] - zero) * level;
                    const float third = (float)(three[c] - zero) * level, last = (float)(four[c] - zero) * level;
                    sums[c] += shares[0] * first + shares[1] * second + shares[2] * third + shares[3] * last;
                }
            }
            const ptrdiff_t place = y * how->out_columns + x;
            if (how->planes) {
                levels(sums, channels, count, how->out_level, how->out_zero, bytes);
                for (ptrdiff_t c = 0; c < channels; c++) out[c * how->out_rows * how->out_columns + place] = bytes[c];
            } else {
                levels(sums, channels, count, how->out_level, how->out_zero, out + place * channels);
            }
        }
    }
}
