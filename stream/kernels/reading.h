/* How layers read their pictures, whatever they are computed with. */
#ifndef STREAM_READING_H
#define STREAM_READING_H

#include "convolve.h"

#define TAP 4    /* channels whose products are added at once */
#define PLACES 8 /* of a picture, that a row has at least */
#define ASIDE 65536 /* bytes, about: rows that are copied at once */

/* A piece of a pixel. */
INLINE int32_t four_at(const u8 *from) {
    int32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

/* How a layer's rows are read. */
typedef struct {
    ptrdiff_t places; /* of a row that are computed */
    ptrdiff_t high, wide, pitch;
    ptrdiff_t together; /* rows of the answer for which rows of the picture are copied at once */
    int around; /* whether what is around the picture is looked at, so that rows are copied */
    int narrow; /* whether a row has too few places */
    int single; /* whether each place reads its own pixel alone, so that rows are one */
} Reading;

INLINE Reading reading_of(const Layer *layer) {
    Reading told;
    told.narrow = layer->out_columns < PLACES;
    told.single = !told.narrow && layer->high * layer->wide * layer->down * layer->across == 1 && !layer->above &&
                  !layer->left && layer->out_columns == layer->columns && layer->out_rows == layer->rows;
    told.places = told.narrow ? PLACES : layer->out_columns;
    told.high = (layer->high - 1) * layer->apart_down + 1;
    told.wide = (told.places - 1) * layer->across + (layer->wide - 1) * layer->apart_across + 1;
    told.around = layer->above || layer->left || told.wide > layer->columns ||
                  (layer->out_rows - 1) * layer->down + told.high > layer->rows;
    told.pitch = (told.around ? told.wide : layer->columns) * layer->channels;
    told.together = ASIDE / (told.pitch * layer->down + 1) - told.high / layer->down;
    if (told.together < 1) told.together = 1;
    return told;
}

/* Rows of the picture that so many rows of the answer read. */
INLINE ptrdiff_t rows_read(const Layer *layer, const Reading *how, ptrdiff_t rows) {
    return (rows - 1) * layer->down + how->high;
}

/* What some places of a row read, with what is around the picture; rows of so many columns. */
INLINE void gathered(const Layer *layer, const u8 *picture, ptrdiff_t top, ptrdiff_t left, ptrdiff_t high,
                     ptrdiff_t columns, u8 *room) {
    const ptrdiff_t channels = layer->channels;
    for (ptrdiff_t y = 0; y < high; y++, room += columns * channels) {
        const ptrdiff_t row = top + y;
        if (row < 0 || row >= layer->rows) {
            memset(room, layer->zero, (size_t)(columns * channels));
            continue;
        }
        ptrdiff_t begin = left < 0 ? -left : 0, end = layer->columns - left;
        end = end > columns ? columns : end < 0 ? 0 : end;
        if (begin > columns) begin = columns;
        if (end < begin) end = begin;
        memset(room, layer->zero, (size_t)(begin * channels));
        memcpy(room + begin * channels, picture + (row * layer->columns + left + begin) * channels,
               (size_t)((end - begin) * channels));
        memset(room + end * channels, layer->zero, (size_t)((columns - end) * channels));
    }
}

/* Three rows that are read where each channel has its own filter: pixels of them lie so many bytes apart, none where all
 * of a row is outside. */
typedef struct {
    const u8 *rows[3];
    ptrdiff_t apart[3], columns;
    const u8 *outside; /* what a pixel outside has */
} Rows;

/* The rows that a row of the answer reads; outside: a pixel of the picture's zero. */
INLINE Rows rows_around(const Layer *layer, const u8 *picture, ptrdiff_t y, const u8 *outside) {
    Rows found = {{outside, outside, outside}, {0, 0, 0}, layer->columns, outside};
    for (ptrdiff_t at = 0; at < 3; at++) {
        const ptrdiff_t row = y * layer->down - layer->above + at;
        if (row < 0 || row >= layer->rows) continue;
        found.rows[at] = picture + row * layer->columns * layer->channels;
        found.apart[at] = layer->channels;
    }
    return found;
}

/* The same from a channel on. */
INLINE Rows rows_of_channel(const Rows *rows, ptrdiff_t channel) {
    Rows found = *rows;
    for (ptrdiff_t at = 0; at < 3; at++) found.rows[at] += channel;
    found.outside += channel;
    return found;
}

INLINE const u8 *pixel_of(const Rows *rows, int row, ptrdiff_t x) {
    return x >= 0 && x < rows->columns ? rows->rows[row] + x * rows->apart[row] : rows->outside;
}

#define STRIP 16 /* places of a row that are computed while what they read is at hand */

/* All channels of some places of a row, each by its own filter; left: of the picture, the first column that they read,
 * which may be outside. */
typedef void Strip(const Layer *layer, const Numbers *with, const Rows *rows, ptrdiff_t left, ptrdiff_t places, u8 *out);

/* Some rows of the answer where each channel has its own filter; room: for a pixel. */
INLINE void shallow_rows(const Layer *layer, const Numbers *with, Strip *strip_of, const u8 *picture, u8 *out,
                         ptrdiff_t first, ptrdiff_t last, u8 *room) {
    memset(room, layer->zero, (size_t)layer->channels);
    for (ptrdiff_t y = first; y < last; y++) {
        const Rows rows = rows_around(layer, picture, y, room);
        for (ptrdiff_t x = 0; x < layer->out_columns; x += STRIP) {
            const ptrdiff_t places = layer->out_columns - x < STRIP ? layer->out_columns - x : STRIP;
            strip_of(layer, with, &rows, x * layer->across - layer->left, places,
                     out + (y * layer->out_columns + x) * layer->channels);
        }
    }
}

/* All answers of some places of a row, whose pieces lie so many bytes apart. */
typedef void Row(const Layer *layer, const Numbers *with, const u8 *from, ptrdiff_t step, ptrdiff_t places, u8 *out);

/* Rows of a layer whose filters read every channel. */
INLINE void deep_rows(const Layer *layer, const Numbers *with, Row *row_of, const u8 *picture, u8 *out,
                      ptrdiff_t first, ptrdiff_t last, u8 *room) {
    const Reading how = reading_of(layer);
    const ptrdiff_t channels = layer->channels, answers = layer->answers;
    if (how.single) {
        row_of(layer, with, picture + first * how.pitch, channels, (last - first) * layer->out_columns,
               out + first * layer->out_columns * answers);
        return;
    }
    for (ptrdiff_t begin = first; begin < last; begin += how.together) {
        const ptrdiff_t rows = last - begin < how.together ? last - begin : how.together;
        const ptrdiff_t high = rows_read(layer, &how, rows), top = begin * layer->down - layer->above;
        const u8 *from = how.around ? room : picture + top * how.pitch;
        u8 *aside = room + high * how.pitch;
        if (how.around) gathered(layer, picture, top, -layer->left, high, how.wide, room);
        for (ptrdiff_t y = 0; y < rows; y++) {
            u8 *to = out + (begin + y) * layer->out_columns * answers;
            row_of(layer, with, from + y * layer->down * how.pitch, layer->across * channels, how.places,
                   how.narrow ? aside : to);
            if (how.narrow) memcpy(to, aside, (size_t)(layer->out_columns * answers));
        }
    }
}

#endif
