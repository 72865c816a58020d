/* SPDX-License-Identifier: MIT
 *
 * tls_border.c - where handshake messages end in what a peer sends.
 *
 * BearSSL takes clear-text records in pieces of any size and works as soon as a message is whole.
 * Peers often put their whole flight into one record; fed in one go it would cost up to 5 ms at
 * once. So it is fed message by message, and the worker decides when the next costly one may go in.
 * Nothing is judged here: bad bytes are the engine's to refuse.
 *
 *     record header (5) | handshake header (4) | contents ... | handshake header | ...      one or
 * more records
 */
#include "reactor/tls.h"

enum { RECORD_CHANGE_CIPHER = 20, RECORD_HANDSHAKE = 22, MESSAGE_CERTIFICATE = 11 };

/* ClientHello (a server signs), Certificate, ServerKeyExchange, ServerHelloDone (a client sends its
 * share), ClientKeyExchange. */
static bool
costly_type(uint8_t type)
{
    return type == 1 || type == 11 || type == 12 || type == 14 || type == 16;
}

static uint32_t
message_length(const uint8_t header[4])
{
    return (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
tls_border_next(const struct tls_border *border, struct slice run, enum tls_piece *piece)
{
    assert(run.len > 0);
    *piece = TLS_PIECE_PLAIN;
    if (border->record_have < sizeof(border->record))
        return least(run.len, sizeof(border->record) - border->record_have);
    assert(border->record_left > 0);
    size_t n = least(run.len, border->record_left);
    if (border->record[0] != RECORD_HANDSHAKE || border->encrypted)
        return n;
    if (border->message_have < sizeof(border->message)) {
        uint8_t header[sizeof(border->message)];
        n = least(n, sizeof(header) - border->message_have);
        memcpy(header, border->message, sizeof(header));
        memcpy(header + border->message_have, run.ptr, n);
        if (border->message_have + n < sizeof(header))
            return n;
        if (message_length(header) == 0 && costly_type(header[0]))
            *piece = TLS_PIECE_COSTLY;
        else if (header[0] == MESSAGE_CERTIFICATE)
            *piece = TLS_PIECE_CERTIFICATES;
        return n;
    }
    n = least(n, border->message_left);
    if (n == border->message_left && costly_type(border->message[0]))
        *piece = TLS_PIECE_COSTLY;
    return n;
}

static void
pass_header(struct tls_border *border, struct slice piece)
{
    memcpy(border->record + border->record_have, piece.ptr, piece.len);
    border->record_have += (uint8_t)piece.len;
    if (border->record_have < sizeof(border->record))
        return;
    border->record_left = (uint32_t)border->record[3] << 8 | border->record[4];
    if (border->record_left == 0)
        border->record_have = 0; /* an empty record: the next header follows */
}

static void
pass_message(struct tls_border *border, struct slice piece)
{
    if (border->message_have < sizeof(border->message)) {
        memcpy(border->message + border->message_have, piece.ptr, piece.len);
        border->message_have += (uint8_t)piece.len;
        if (border->message_have == sizeof(border->message))
            border->message_left = message_length(border->message);
    } else {
        border->message_left -= (uint32_t)piece.len;
    }
    if (border->message_have == sizeof(border->message) && border->message_left == 0)
        border->message_have = 0;
}

void
tls_border_pass(struct tls_border *border, struct slice piece)
{
    assert(piece.len > 0);
    if (border->record_have < sizeof(border->record)) {
        assert(piece.len <= sizeof(border->record) - border->record_have);
        pass_header(border, piece);
        return;
    }
    assert(piece.len <= border->record_left);
    if (border->record[0] == RECORD_CHANGE_CIPHER)
        border->encrypted = true;
    else if (border->record[0] == RECORD_HANDSHAKE && !border->encrypted)
        pass_message(border, piece);
    border->record_left -= (uint32_t)piece.len;
    if (border->record_left == 0)
        border->record_have = 0;
}
