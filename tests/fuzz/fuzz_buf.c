/* SPDX-License-Identifier: MIT
 *
 * fuzz_buf.c - any order of put, space, filled and consume against a model: one flat run of bytes.
 * The input is a program of three-byte steps: what to do, and how much of it.
 */
#include "base/buf.h"

#include "tests/fuzz/fuzz.h"

#define CHUNKS 6u
#define BYTES_MAX (CHUNKS * CHUNK_BYTES)
#define OFFER_MAX 4

struct model {
    char bytes[BYTES_MAX]; /* unread */
    size_t len;
    char next; /* the byte that will be written next: every byte differs from its neighbour */
};

static void
model_fill(struct model *model, char *to, size_t n)
{
    assert(model->len + n <= BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        to[i] = model->bytes[model->len++] = model->next++;
}

static void
compare(const struct model *model, const struct buf *buf)
{
    struct iovec iov[CHUNKS];
    int count = buf_iov(buf, iov, CHUNKS);
    size_t at = 0;
    assert(buf->len == model->len);
    for (int i = 0; i < count; i++) {
        assert(iov[i].iov_len > 0 && iov[i].iov_len <= model->len - at);
        assert(memcmp(iov[i].iov_base, model->bytes + at, iov[i].iov_len) == 0);
        at += iov[i].iov_len;
    }
    assert(at == model->len);
    assert((buf_peek(buf).len == 0) == (model->len == 0));
}

static void
step_put(struct model *model, struct buf *buf, size_t n)
{
    static char bytes[BYTES_MAX];
    if (n > BYTES_MAX - model->len)
        n = BYTES_MAX - model->len;
    struct model before = *model;
    model_fill(model, bytes, n);
    if (buf_put(buf, slice_of(bytes, n)) != 0)
        *model = before;
}

static void
step_filled(struct model *model, struct buf *buf, const struct iovec *offer, int count, size_t n)
{
    size_t left = n;
    for (int i = 0; i < count && left > 0; i++) {
        size_t used = left < offer[i].iov_len ? left : offer[i].iov_len;
        model_fill(model, offer[i].iov_base, used);
        left -= used;
    }
    buf_filled(buf, n - left);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct model model;
    struct pool pool;
    struct buf buf;
    struct iovec offer[OFFER_MAX];
    int offered = -1; /* iovecs of an outstanding offer */
    model = (struct model){.len = 0};
    pool_init(&pool, CHUNKS, 2);
    buf_init(&buf, &pool);
    for (size_t at = 0; at + 3 <= len; at += 3) {
        size_t n = (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        switch (bytes[at] & 3) {
        case 0:
            if (offered < 0)
                step_put(&model, &buf, n);
            break;
        case 1:
            if (offered < 0)
                offered = buf_space(&buf, offer, 1 + (bytes[at] >> 2) % OFFER_MAX, n);
            break;
        case 2:
            if (offered >= 0)
                step_filled(&model, &buf, offer, offered, n);
            offered = -1;
            break;
        default:
            n = n < model.len ? n : model.len;
            buf_consume(&buf, n);
            memmove(model.bytes, model.bytes + n, model.len - n);
            model.len -= n;
        }
        compare(&model, &buf);
        assert(pool.chunks_used <= CHUNKS);
        if (model.len == 0 && offered <= 0)
            assert(pool.chunks_used == 0);
    }
    buf_clear(&buf);
    pool_fini(&pool);
    return 0;
}
