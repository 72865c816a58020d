/* SPDX-License-Identifier: MIT
 *
 * fuzz_json_write.c - the writer driven by any program that keeps its rules: what it writes is JSON,
 * and has as many values as were put.
 *
 * Input: steps of one byte; some take bytes behind them as text, up to a zero byte.
 */
#include "base/json.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 60

struct program {
    struct slice code;
    struct json_writer writer;
    uint64_t objects; /* a bit for each level */
    int depth;
    size_t values; /* names count as the parser counts them */
};

static struct slice
take_text(struct program *program)
{
    struct slice text = text_split(&program->code, '\0');
    if (!slice_present(program->code))
        program->code = SLICE_LIT("");
    return slice_present(text) ? text : SLICE_LIT("");
}

static void
open_level(struct program *program, bool object)
{
    if (object)
        json_object(&program->writer);
    else
        json_array(&program->writer);
    program->objects = program->objects << 1 | object;
    program->depth++;
}

static void
put_value(struct program *program, uint8_t step)
{
    struct json_writer *writer = &program->writer;
    struct json_scan scan;
    struct slice text;
    switch (step) {
    case 0:
    case 1:
        if (program->depth < DEPTH_MAX) {
            open_level(program, step);
            break;
        }
        json_put_null(writer);
        break;
    case 2:
        json_put_string(writer, take_text(program));
        break;
    case 3:
        text = take_text(program);
        if (json_scan(text, 8, &scan) == 0) {
            json_put_raw(writer, text);
            program->values += scan.tokens - 1;
        } else {
            json_put_bool(writer, text.len & 1);
        }
        break;
    case 4:
        json_put_i64(writer, -(int64_t)program->code.len);
        break;
    case 5:
        json_put_u64(writer, program->code.len * 0x9e3779b97f4a7c15u);
        break;
    default:
        json_put_literal(writer, "a \"literal\"\n");
    }
    program->values++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct program program = {.code = slice_of(bytes, n)};
    struct sink out;
    struct json_scan scan;
    if (n > 8192)
        return 0;
    sink_init(&out, 4u << 20);
    json_writer_init(&program.writer, &out);
    open_level(&program, false);
    program.values = 1;
    while (program.code.len > 0) {
        uint8_t step = (uint8_t)program.code.ptr[0];
        program.code = slice_skip(program.code, 1);
        if (step % 8 == 7) {
            if (program.depth > 1) {
                json_end(&program.writer);
                program.objects >>= 1;
                program.depth--;
            }
            continue;
        }
        if (program.objects & 1) {
            json_name_slice(&program.writer, take_text(&program));
            program.values++;
        }
        put_value(&program, step % 8);
    }
    while (program.depth-- > 0)
        json_end(&program.writer);
    assert(out.error == 0);
    assert(json_scan(sink_slice(&out), 128, &scan) == 0);
    assert(scan.tokens == program.values);
    sink_fini(&out);
    return 0;
}
