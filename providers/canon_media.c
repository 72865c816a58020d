/* SPDX-License-Identifier: MIT
 *
 * canon_media.c - base64 in both alphabets, and media types known by first bytes or by the ending of
 * a name.
 */
#include "providers/canon_media.h"

#include "base/text.h"

static bool
skipped(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == '=';
}

bool
canon_base64(struct sink *out, struct slice data)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *room = sink_reserve(out, data.len + 4);
    size_t n = 0;
    if (!room)
        return true; /* the sink says it */
    for (size_t i = 0; i < data.len; i++) {
        int value = text_base64_digit(data.ptr[i]);
        if (value >= 0)
            room[n++] = alphabet[value];
        else if (!skipped(data.ptr[i]))
            return false;
    }
    if (n % 4 == 1)
        return false;
    while (n % 4 != 0)
        room[n++] = '=';
    out->len += n;
    return true;
}

bool
canon_base64_is_standard(struct slice data)
{
    size_t len = data.len;
    if (len % 4 != 0)
        return false;
    for (int i = 0; i < 2 && len > 0 && data.ptr[len - 1] == '='; i++)
        len--;
    for (size_t i = 0; i < len; i++) {
        char byte = data.ptr[i];
        if (text_base64_digit(byte) < 0 || byte == '-' || byte == '_')
            return false;
    }
    return true;
}

/* The first bytes that base64 text stands for: enough to know a format by. */
static struct slice
first_bytes(struct slice data, uint8_t out[16])
{
    uint32_t bits = 0;
    int count = 0;
    size_t n = 0;
    for (size_t i = 0; i < data.len && n < 16; i++) {
        int value = text_base64_digit(data.ptr[i]);
        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[n++] = (uint8_t)(bits >> count);
        }
    }
    return slice_of(out, n);
}

const char *
canon_image_type(struct slice data)
{
    uint8_t room[16];
    struct slice bytes = first_bytes(data, room);
    if (slice_starts(bytes, SLICE_LIT("\x89PNG")))
        return "image/png";
    if (slice_starts(bytes, SLICE_LIT("\xff\xd8\xff")))
        return "image/jpeg";
    if (slice_starts(bytes, SLICE_LIT("GIF8")))
        return "image/gif";
    if (slice_starts(bytes, SLICE_LIT("RIFF")) &&
        slice_starts(slice_skip(bytes, 8), SLICE_LIT("WEBP")))
        return "image/webp";
    if (slice_starts(slice_skip(bytes, 4), SLICE_LIT("ftyphei")))
        return "image/heic";
    return slice_starts(slice_skip(bytes, 4), SLICE_LIT("ftypmif1")) ? "image/heif" : NULL;
}

bool
canon_is_pdf(struct slice data)
{
    uint8_t room[16];
    return slice_starts(first_bytes(data, room), SLICE_LIT("%PDF"));
}

const char *
canon_url_type(struct slice url)
{
    static const struct {
        const char *ending, *type;
    } table[] = {
        {".png", "image/png"},   {".jpg", "image/jpeg"},      {".jpeg", "image/jpeg"},
        {".webp", "image/webp"}, {".gif", "image/gif"},       {".heic", "image/heic"},
        {".heif", "image/heif"}, {".pdf", "application/pdf"}, {".txt", "text/plain"},
        {".mp4", "video/mp4"},   {".mov", "video/mov"},       {".webm", "video/webm"},
        {".wav", "audio/wav"},   {".mp3", "audio/mp3"},       {".flac", "audio/flac"},
        {".ogg", "audio/ogg"},
    };
    struct slice path = url;
    struct slice name = text_split(&path, '#');
    path = name;
    name = text_split(&path, '?');
    for (size_t i = 0; i < countof(table); i++) {
        struct slice ending = slice_from(table[i].ending);
        if (name.len > ending.len &&
            text_caseless_eq(slice_skip(name, name.len - ending.len), ending))
            return table[i].type;
    }
    return NULL;
}
