/* SPDX-License-Identifier: MIT
 *
 * gemini.c - the Gemini generateContent dialect, of AI Studio and of Vertex AI: its table.
 */
#include "providers/gemini.h"

#include "providers/gemini_request.h"

const struct dialect gemini_dialect = {
    .id = DIALECT_GEMINI,
    .name = "gemini",
    .named_events = false,
    .outline = gemini_outline,
    .read_request = gemini_read_request,
    .put_target = gemini_put_target,
    .can_count = gemini_can_count,
    .put_count_target = gemini_put_count_target,
    .write_count = gemini_write_count,
    .read_count = gemini_read_count,
    .fields = gemini_fields,
    .pass_request = gemini_pass_request,
    .write_request = gemini_write_request,
    .reader_bytes = sizeof(struct gemini_reader),
    .reader_init = gemini_reader_init,
    .reader_fini = gemini_reader_fini,
    .read_event = gemini_read_event,
    .read_body = gemini_read_body,
    .read_end = gemini_read_end,
    .read_error = gemini_read_error,
    .writer_bytes = sizeof(struct gemini_writer),
    .writer_init = gemini_writer_init,
    .writer_fini = gemini_writer_fini,
    .write_start = gemini_write_start,
    .write_events = gemini_write_events,
    .pass_event = gemini_pass_event,
    .write_ping = gemini_write_ping,
    .write_error = gemini_write_error,
    .write_whole = gemini_write_whole,
    .pass_whole = NULL,
    .write_count_reply = gemini_write_count_reply,
    .error_status = gemini_error_status,
    .error_body = gemini_error_body,
    .error_conforms = gemini_error_conforms,
};
