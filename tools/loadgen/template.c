/* SPDX-License-Identifier: MIT
 *
 * template.c - requests of the four dialects, made once.
 */
#include "tools/loadgen/loadgen.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_DIGITS 10
#define ID_FIRST "id=1000000000"

static char *printf_like(1, 2) made(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    return len < 0 ? NULL : text;
}

static char *
padding(const struct settings *settings)
{
    static const char filling[] =
        "The quick brown fox jumps over the lazy dog and the slow reader behind it. ";
    char *text = malloc(settings->body_bytes + 2);
    if (!text)
        return NULL;
    for (size_t i = 0; i <= settings->body_bytes; i++)
        text[i] = i ? filling[(i - 1) % (sizeof(filling) - 1)] : ' ';
    text[settings->body_bytes ? settings->body_bytes + 1 : 0] = 0;
    return text;
}

static char *
body_of(const struct settings *settings, const char *filling)
{
    const char *model = settings->model;
    const char *stream = settings->whole ? "" : ",\"stream\":true";
    const char *usage =
        settings->usage && !settings->whole ? ",\"stream_options\":{\"include_usage\":true}" : "";
    switch (settings->dialect) {
    case DIALECT_CHAT:
        return made("{\"model\":\"%s\"%s%s,\"temperature\":0.7,\"messages\":[{\"role\":\"system\","
                    "\"content\":\"You are under load.\"},"
                    "{\"role\":\"user\",\"content\":\"" ID_FIRST "%s\"}]}",
                    model, stream, usage, filling);
    case DIALECT_ANTHROPIC:
        return made("{\"model\":\"%s\"%s,\"max_tokens\":4096,\"system\":\"You are under "
                    "load.\",\"messages\":["
                    "{\"role\":\"user\",\"content\":\"" ID_FIRST "%s\"}]}",
                    model, stream, filling);
    case DIALECT_RESPONSES:
        return made("{\"model\":\"%s\"%s,\"instructions\":\"You are under "
                    "load.\",\"input\":[{\"type\":\"message\",\"role\":\"user\","
                    "\"content\":[{\"type\":\"input_text\",\"text\":\"" ID_FIRST "%s\"}]}]}",
                    model, stream, filling);
    case DIALECT_GEMINI:
        return made("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"" ID_FIRST "%s\"}]}],"
                    "\"generationConfig\":{\"temperature\":0.7}}",
                    filling);
    }
    return NULL;
}

static char *
path_of(const struct settings *settings)
{
    switch (settings->dialect) {
    case DIALECT_CHAT:
        return made("/v1/chat/completions");
    case DIALECT_ANTHROPIC:
        return made("/v1/messages");
    case DIALECT_RESPONSES:
        return made("/v1/responses");
    case DIALECT_GEMINI:
        return made("/v1beta/models/%s:%s", settings->model,
                    settings->whole ? "generateContent" : "streamGenerateContent?alt=sse");
    }
    return NULL;
}

static char *
key_line(const struct settings *settings)
{
    if (settings->dialect == DIALECT_ANTHROPIC)
        return made("anthropic-version: 2023-06-01\r\n%s%s%s", settings->key ? "x-api-key: " : "",
                    settings->key ? settings->key : "", settings->key ? "\r\n" : "");
    if (!settings->key)
        return made("%s", "");
    if (settings->dialect == DIALECT_GEMINI)
        return made("x-goog-api-key: %s\r\n", settings->key);
    return made("Authorization: Bearer %s\r\n", settings->key);
}

/* What the head holds besides; NULL without memory. */
static char *
header_lines(const struct settings *settings)
{
    char *lines = made("%s", "");
    for (uint32_t i = 0; lines && i < settings->header_count; i++) {
        char *more = made("%s%s\r\n", lines, settings->headers[i]);
        free(lines);
        lines = more;
    }
    return lines;
}

bool
template_make(struct template *template, const struct settings *settings)
{
    char host[INET_ADDRSTRLEN];
    const struct sockaddr_in *to = &settings->targets.addresses[0];
    inet_ntop(AF_INET, &to->sin_addr, host, sizeof(host));
    char *filling = padding(settings), *path = path_of(settings), *key = key_line(settings);
    char *more = header_lines(settings);
    char *body = filling ? body_of(settings, filling) : NULL;
    if (path && key && more && body)
        template->bytes =
            made("POST %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: loadgen\r\nAccept: %s\r\n"
                 "Content-Type: application/json\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                 path, host, ntohs(to->sin_port),
                 settings->whole ? "application/json" : "text/event-stream",
                 settings->fresh ? "Connection: close\r\n" : "", key, more, strlen(body), body);
    free(filling);
    free(path);
    free(key);
    free(more);
    free(body);
    if (!template->bytes)
        return false;
    template->len = strlen(template->bytes);
    template->id_at = (size_t)(strstr(template->bytes, ID_FIRST) - template->bytes) + 3;
    return true;
}

void
template_id(struct template *template, uint64_t id)
{
    for (size_t i = ID_DIGITS; i-- > 0; id /= 10)
        template->bytes[template->id_at + i] = (char)('0' + id % 10);
}
