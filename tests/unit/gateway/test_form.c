/* SPDX-License-Identifier: MIT
 *
 * test_form.c - a field found in multipart forms as clients write them, and in what only looks like one.
 */
#include "gateway/form.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=b"
#define FILE_PART "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;name=\\\"model\\\".wav\"\r\n\r\n\r\n--xb\r\n"
#define MODEL_PART "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n"

static void
finds_the_field(void **state)
{
    static const struct {
        const char *type, *body;
        const char *found; /* NULL: it is not there */
    } rows[] = {
        {TYPE, FILE_PART MODEL_PART "--b--\r\n", "whisper"},
        {TYPE, MODEL_PART FILE_PART "--b--", "whisper"},
        {TYPE, "a preamble\r\n" MODEL_PART "--b--", "whisper"},
        {TYPE, FILE_PART "--b--", NULL},
        {TYPE, "--b--", NULL},
        {TYPE, "--b  \r\nCONTENT-DISPOSITION:form-data;NAME=model\r\n\r\n\r\n--b--", ""},
        {TYPE, "--b\r\nX: y\r\ncontent-disposition: form-data; name=\"model\"\r\nContent-Type: text/plain\r\n\r\nm\r\n--b--", "m"},
        {TYPE, "--b\r\n\r\nname=model\r\n" MODEL_PART "--b--", "whisper"},
        {TYPE, "--b\r\nContent-Disposition: form-data; xname=\"model\"\r\n\r\nx\r\n--b--", NULL},
        {"multipart/form-data; charset=utf-8; Boundary=\"a b\"", "--a b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--a b--", "m"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice found, body = slice_from(rows[i].body);
        assert_int_equal(form_find(body, slice_from(rows[i].type), "model", &found), 0);
        assert_int_equal(slice_present(found), rows[i].found != NULL);
        if (!rows[i].found)
            continue;
        assert_true(slice_is(found, rows[i].found));
        assert_true(found.ptr >= body.ptr && found.ptr + found.len <= body.ptr + body.len);
    }
}

static void
refuses_what_is_no_form(void **state)
{
    static const struct {
        const char *type, *body;
    } rows[] = {
        {TYPE, MODEL_PART MODEL_PART "--b--"}, {TYPE, MODEL_PART FILE_PART MODEL_PART "--b--"}, {TYPE, ""}, {TYPE, "{}"}, {TYPE, "--b"}, {TYPE, "--b\r\n"}, {TYPE, "--bx\r\n\r\nx\r\n--b--"}, {TYPE, MODEL_PART},
        {TYPE, "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper"},
        {"multipart/form-data", MODEL_PART "--b--"}, {"multipart/form-data; boundary=", MODEL_PART "--b--"},
        {"multipart/form-data; boundary=\"b", MODEL_PART "--b--"},
        {"multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901", MODEL_PART "--b--"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice found;
        assert_int_equal(form_find(slice_from(rows[i].body), slice_from(rows[i].type), "model", &found), -ERR_REQUEST);
    }
}

/* Whatever is cut off or written over, what is found lies within the body. */
static void
any_bytes_are_taken(void **state)
{
    static const char whole[] = FILE_PART MODEL_PART "--b--\r\n";
    uint64_t random = 1;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = sizeof whole - 1;
        char *bytes = malloc(len);
        assert_non_null(bytes);
        memcpy(bytes, whole, len);
        for (int k = 0; k < 4; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[(random >> 33) % len] = "\r\n-b:;\"=m\\"[(random >> 20) % 10];
        }
        len = (random >> 40) % (len + 1);
        struct slice body = slice_of(bytes, len), found;
        if (form_find(body, SLICE_LIT(TYPE), "model", &found) == 0 && slice_present(found)) {
            assert_true(found.ptr >= bytes);
            assert_true(found.ptr + found.len <= bytes + len);
        }
        free(bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_field),
        cmocka_unit_test(refuses_what_is_no_form),
        cmocka_unit_test(any_bytes_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
