/* SPDX-License-Identifier: MIT
 *
 * json_number.c - JSON numbers as C numbers. Exact or refused for integers, correctly rounded for
 * doubles, and never subject to a locale.
 */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

/* value = digits * 10^exponent; digits has no zero at either end, and is empty for zero. */
struct decimal {
    bool negative;
    struct slice digits; /* a decimal point may stand among them */
    size_t count;        /* of digits, without the point */
    int64_t exponent;
};

#define EXPONENT_MAX 1000000000

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The number behind "e", held within EXPONENT_MAX: nothing of use lies beyond. */
static int64_t
exponent_of(struct slice text)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (is_digit(text.ptr[i]) && value < EXPONENT_MAX)
            value = value * 10 + (text.ptr[i] - '0');
    }
    return negative ? -value : value;
}

/* text is a JSON number. */
static struct decimal
decimal_of(struct slice text)
{
    struct decimal number = {.negative = text.ptr[0] == '-'};
    bool point = false;
    int64_t fraction = 0, zeros = 0; /* digits behind the point; zeros at the end so far */
    size_t first = 0, last = 0, i = number.negative;
    for (; i < text.len && (is_digit(text.ptr[i]) || text.ptr[i] == '.'); i++) {
        if (text.ptr[i] == '.') {
            point = true;
            continue;
        }
        fraction += point;
        if (text.ptr[i] == '0') {
            zeros++;
            continue;
        }
        if (number.count == 0)
            first = i;
        else
            number.count += (size_t)zeros;
        number.count++;
        zeros = 0;
        last = i;
    }
    if (number.count == 0)
        return number;
    number.digits = slice_of(text.ptr + first, last - first + 1);
    number.exponent = exponent_of(slice_skip(text, i + 1)) - fraction + zeros;
    return number;
}

/* The magnitude if it is an integer that fits. */
static bool
magnitude_of(const struct decimal *number, uint64_t *out)
{
    uint64_t value = 0;
    if (number->count > 0 && (number->exponent < 0 || number->exponent > 19 || number->count > 20))
        return false;
    for (size_t i = 0; i < number->digits.len; i++) {
        if (number->digits.ptr[i] == '.')
            continue;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(number->digits.ptr[i] - '0'), &value))
            return false;
    }
    for (int64_t i = 0; number->count > 0 && i < number->exponent; i++) {
        if (__builtin_mul_overflow(value, 10u, &value))
            return false;
    }
    *out = value;
    return true;
}

/* The JSON text of one number, and nothing else? */
static bool
is_number(struct slice text)
{
    struct json_scan scan;
    bool begins = text.len > 0 && (text.ptr[0] == '-' || is_digit(text.ptr[0]));
    return begins && json_scan(text, 1, &scan) == 0;
}

static uint64_t
u64_or(struct slice text, uint64_t fallback)
{
    struct decimal number = decimal_of(text);
    uint64_t magnitude;
    if (!magnitude_of(&number, &magnitude) || (number.negative && magnitude > 0))
        return fallback;
    return magnitude;
}

bool
json_i64(struct json value, int64_t *out)
{
    if (json_type(value) != JSON_NUMBER)
        return false;
    struct decimal number = decimal_of(json_raw(value));
    uint64_t magnitude;
    if (!magnitude_of(&number, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + number.negative)
        return false;
    *out = (int64_t)(number.negative ? 0 - magnitude : magnitude);
    return true;
}

uint64_t
json_u64_or(struct json value, uint64_t fallback)
{
    return json_type(value) == JSON_NUMBER ? u64_or(json_raw(value), fallback) : fallback;
}

uint64_t
json_text_u64_or(struct slice text, uint64_t fallback)
{
    return is_number(text) ? u64_or(text, fallback) : fallback;
}

/* No double is decided by digits behind the 768th, but for whether there are any. */
#define DIGITS_MAX 800

static double
f64_of(struct slice raw)
{
    struct decimal number = decimal_of(raw);
    if (number.count == 0)
        return number.negative ? -0.0 : 0.0;
    /* Rewritten without a point, which is the one thing strtod takes from the locale. */
    char text[DIGITS_MAX + 32];
    size_t len = 0, taken = 0;
    if (number.negative)
        text[len++] = '-';
    for (size_t i = 0; i < number.digits.len && taken < DIGITS_MAX; i++) {
        if (number.digits.ptr[i] == '.')
            continue;
        text[len++] = number.digits.ptr[i];
        taken++;
    }
    int64_t exponent = number.exponent + (int64_t)(number.count - taken);
    if (taken < number.count) {
        text[len++] = '1';
        exponent--;
    }
    snprintf(text + len, sizeof(text) - len, "e%lld", (long long)exponent);
    return strtod(text, NULL);
}

bool
json_f64(struct json value, double *out)
{
    if (json_type(value) != JSON_NUMBER)
        return false;
    *out = f64_of(json_raw(value));
    return true;
}

bool
json_text_f64(struct slice text, double *out)
{
    if (!is_number(text))
        return false;
    *out = f64_of(text);
    return true;
}
