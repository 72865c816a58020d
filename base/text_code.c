/* SPDX-License-Identifier: MIT
 *
 * text_code.c - percent-decoding (RFC 3986), hex and base64 (RFC 4648) into a sink.
 */
#include "base/text.h"

bool
text_percent_decode(struct slice text, struct sink *out)
{
    while (text.len > 0) {
        const char *escape = memchr(text.ptr, '%', text.len);
        size_t plain = escape ? (size_t)(escape - text.ptr) : text.len;
        sink_put(out, slice_take(text, plain));
        text = slice_skip(text, plain);
        if (!escape)
            break;
        uint64_t byte;
        if (text.len < 3 || !text_hex_u64(slice_of(text.ptr + 1, 2), &byte) || byte == 0)
            return false;
        sink_byte(out, (char)byte);
        text = slice_skip(text, 3);
    }
    return true;
}

void
text_hex(struct sink *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        sink_byte(out, digits[bytes[i] >> 4]);
        sink_byte(out, digits[bytes[i] & 15]);
    }
}

void
text_base64(struct sink *out, struct slice bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    for (size_t left = bytes.len; left > 0;) {
        size_t n = left < 3 ? left : 3;
        uint32_t group = (uint32_t)at[0] << 16;
        if (n > 1)
            group |= (uint32_t)at[1] << 8;
        if (n > 2)
            group |= at[2];
        char four[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        n > 1 ? alphabet[group >> 6 & 63] : '=',
                        n > 2 ? alphabet[group & 63] : '='};
        sink_put(out, slice_of(four, 4));
        at += n;
        left -= n;
    }
}

int
text_base64_digit(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    if (byte == '+' || byte == '-')
        return 62;
    return byte == '/' || byte == '_' ? 63 : -1;
}

bool
text_base64_decode(struct slice text, struct sink *out)
{
    uint32_t group = 0;
    unsigned digits = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '\r' || byte == '\n')
            continue;
        if (byte == '=') {
            padding++;
            continue;
        }
        int value = text_base64_digit(byte);
        if (value < 0 || padding > 0)
            return false;
        group = group << 6 | (uint32_t)value;
        if (++digits < 4)
            continue;
        char three[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        sink_put(out, slice_of(three, 3));
        group = 0;
        digits = 0;
    }
    /* A group that is cut short stands for one byte (two digits) or two (three digits). */
    if (digits == 1 || (padding > 0 && (digits == 0 || digits + padding != 4)))
        return false;
    if (digits >= 2)
        sink_byte(out, (char)(digits == 2 ? group >> 4 : group >> 10));
    if (digits == 3)
        sink_byte(out, (char)(group >> 2));
    return true;
}
