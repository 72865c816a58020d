/* SPDX-License-Identifier: MIT
 *
 * test_gemini_schema.c - JSON Schemas as Gemini takes them, and Gemini's schemas as JSON Schema.
 */
#include "providers/gemini_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define MAX_BYTES (8u << 20)

static void
reduces(bool parameters, const char *schema, const char *expected)
{
    struct sink out;
    struct json_scan scan;
    sink_init(&out, MAX_BYTES);
    assert_int_equal(gemini_schema_reduce(slice_from(schema), parameters, &out), expected ? 1 : 0);
    assert_true(!expected || json_scan(sink_slice(&out), 64, &scan) == 0);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected ? expected : "");
    sink_fini(&out);
}

static void
refuses(bool parameters, const char *schema)
{
    struct sink out;
    sink_init(&out, MAX_BYTES);
    assert_int_equal(gemini_schema_reduce(slice_from(schema), parameters, &out), -ERR_UNSUPPORTED);
    sink_fini(&out);
}

/* One property, as it comes out. */
static void
property(const char *schema, const char *expected)
{
    char from[2048], to[2048];
    assert_true(snprintf(from, sizeof(from), "{\"type\":\"object\",\"properties\":{\"p\":%s}}",
                         schema) < (int)sizeof(from));
    assert_true(snprintf(to, sizeof(to), "{\"type\":\"OBJECT\",\"properties\":{\"p\":%s}}",
                         expected) < (int)sizeof(to));
    reduces(true, from, to);
}

static void
leaves_out_what_gemini_does_not_know(void **state)
{
    (void)state;
    reduces(true,
            "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
            "schema\",\"$id\":\"x\",\"$comment\":\"c\",\"type\":\"object\","
            "\"additionalProperties\":false,\"patternProperties\":{\"^x\":{}},\"propertyNames\":{"
            "\"pattern\":\"a\"},"
            "\"properties\":{\"a\":{\"type\":\"array\",\"uniqueItems\":true,\"contains\":{},"
            "\"items\":{\"type\":\"string\","
            "\"examples\":[\"x\"],\"readOnly\":true,\"contentEncoding\":\"base64\",\"not\":{"
            "\"const\":1}},\"minItems\":1}},"
            "\"if\":{},\"then\":{},\"else\":{},\"dependentRequired\":{\"a\":[\"b\"]},"
            "\"unevaluatedProperties\":false,\"deprecated\":true}",
            "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"ARRAY\",\"minItems\":1,"
            "\"items\":{\"type\":\"STRING\"}}}}");
    property("{\"type\":\"number\",\"multipleOf\":2,\"minimum\":0.5,\"maximum\":1e3,\"format\":"
             "\"double\"}",
             "{\"type\":\"NUMBER\",\"format\":\"double\",\"minimum\":0.5,\"maximum\":1e3}");
    property("{\"type\":\"string\",\"format\":\"uri\",\"minLength\":0,\"maxLength\":5,\"pattern\":"
             "\"^a\\\\d+$\"}",
             "{\"type\":\"STRING\",\"minLength\":0,\"maxLength\":5,\"pattern\":\"^a\\\\d+$\"}");
    property("{\"type\":\"string\",\"format\":\"date-time\",\"default\":\"now\",\"title\":\"T\","
             "\"description\":\"d\"}",
             "{\"type\":\"STRING\",\"title\":\"T\",\"description\":\"d\",\"format\":\"date-time\","
             "\"default\":\"now\"}");
}

/* P43: a property may be called as a keyword is. */
static void
keeps_names_and_their_order(void **state)
{
    (void)state;
    reduces(true,
            "{\"type\":\"object\",\"properties\":{\"z\":{\"type\":\"string\"},\"format\":{\"type\":"
            "\"string\"},\"$schema\":{\"type\":\"integer\"},"
            "\"default\":{\"type\":\"boolean\"},\"title\":{\"type\":\"string\"},"
            "\"additionalProperties\":{\"type\":\"null\"},"
            "\"\\u0061\\\"b\":{\"type\":\"string\",\"description\":\"x \\\"y\\\" "
            "\\u00e9\"},\"$ref\":{\"type\":\"string\"}},"
            "\"required\":[\"title\",\"nowhere\",\"$schema\",7,\"format\"]}",
            "{\"type\":\"OBJECT\",\"required\":[\"title\",\"$schema\",\"format\"],\"properties\":{"
            "\"z\":{\"type\":\"STRING\"},"
            "\"format\":{\"type\":\"STRING\"},\"$schema\":{\"type\":\"INTEGER\"},\"default\":{"
            "\"type\":\"BOOLEAN\"},"
            "\"title\":{\"type\":\"STRING\"},\"additionalProperties\":{\"type\":\"NULL\"},"
            "\"a\\\"b\":{\"type\":\"STRING\",\"description\":\"x \\\"y\\\" "
            "\\u00e9\"},\"$ref\":{\"type\":\"STRING\"}}}");
}

static void
resolves_references(void **state)
{
    (void)state;
    reduces(
        true,
        "{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/$defs/"
        "Node\",\"description\":\"first\"}},\"$defs\":{\"Node\":{\"type\":\"object\","
        "\"description\":\"a "
        "node\",\"properties\":{\"v\":{\"type\":\"number\"},\"next\":{\"$ref\":\"#/$defs/Node\"},"
        "\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/Node\"}}}}}}",
        "{\"type\":\"OBJECT\",\"properties\":{\"n\":{\"type\":\"OBJECT\",\"description\":\"first\","
        "\"properties\":{\"v\":{\"type\":\"NUMBER\"},"
        "\"next\":{\"type\":\"OBJECT\"},\"kids\":{\"type\":\"ARRAY\",\"items\":{\"type\":"
        "\"OBJECT\"}}}}}}");
    /* A name used twice, one after the other, is no cycle. */
    reduces(true,
            "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/P\"},\"b\":{\"$ref\":\"#/$defs/"
            "P\"}},\"$defs\":{\"P\":{\"type\":\"string\"}}}",
            "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},\"b\":{\"type\":"
            "\"STRING\"}}}");
    reduces(true,
            "{\"$ref\":\"#/definitions/A~1b%20c\",\"definitions\":{\"A/b "
            "c\":{\"properties\":{\"q\":{\"$ref\":\"#/definitions/none\"},"
            "\"r\":{\"$ref\":\"http://example.com/x\"},\"s\":{\"$ref\":\"#\"},\"t\":{\"$ref\":\"#/"
            "definitions/list/1\"}}},"
            "\"list\":[{\"type\":\"string\"},{\"type\":\"boolean\"}]}}",
            "{\"type\":\"OBJECT\",\"properties\":{\"q\":{},\"r\":{},\"s\":{\"type\":\"OBJECT\"},"
            "\"t\":{\"type\":\"BOOLEAN\"}}}");
}

static void
makes_one_of_several_forms(void **state)
{
    (void)state;
    property("{\"type\":[\"string\",\"null\"]}", "{\"type\":\"STRING\",\"nullable\":true}");
    property("{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":\"null\"}],\"default\":"
             "null,\"description\":\"d\"}",
             "{\"type\":\"INTEGER\",\"nullable\":true,\"description\":\"d\",\"minimum\":1}");
    property("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"description\":\"own\"},{"
             "\"const\":null}],\"description\":\"d\"}",
             "{\"anyOf\":[{\"type\":\"STRING\",\"nullable\":true,\"description\":\"d\"},"
             "{\"type\":\"INTEGER\",\"nullable\":true,\"description\":\"own\"}]}");
    property(
        "{\"type\":[\"string\",\"integer\",\"number\",\"null\"],\"minLength\":2,\"minimum\":1}",
        "{\"anyOf\":[{\"type\":\"STRING\",\"nullable\":true,\"minLength\":2},{\"type\":\"NUMBER\","
        "\"nullable\":true,\"minimum\":1}]}");
    property("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"boolean\"}]}",
             "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"BOOLEAN\"}]}");
    property("{\"const\":\"x\"}", "{\"type\":\"STRING\",\"enum\":[\"x\"]}");
    property(
        "{\"oneOf\":[{\"const\":\"a\",\"title\":\"A\"},{\"const\":\"b\"}],\"description\":\"d\"}",
        "{\"type\":\"STRING\",\"description\":\"d\",\"enum\":[\"a\",\"b\"]}");
    property("{\"enum\":[\"\",\"a\",null]}",
             "{\"type\":\"STRING\",\"nullable\":true,\"enum\":[\"a\"]}");
    property("{\"enum\":[\"\"]}", "{\"type\":\"STRING\"}");
    property("{\"enum\":[1,2],\"description\":\"how many\"}",
             "{\"type\":\"INTEGER\",\"description\":\"how many Allowed values: 1, 2.\"}");
    property("{\"type\":\"integer\",\"const\":0}",
             "{\"type\":\"INTEGER\",\"description\":\"Allowed values: 0.\"}");
    property("{\"enum\":[1,\"a\"]}", "{\"description\":\"Allowed values: 1, \\\"a\\\".\"}");
    property("{\"const\":null}", "{\"type\":\"NULL\"}");
    property("{\"type\":\"integer\",\"minimum\":0,\"exclusiveMinimum\":4,\"exclusiveMaximum\":10}",
             "{\"type\":\"INTEGER\",\"minimum\":5,\"maximum\":9}");
    property("{\"type\":\"integer\",\"minimum\":3,\"exclusiveMinimum\":true}",
             "{\"type\":\"INTEGER\",\"minimum\":4}");
    property("{\"type\":\"number\",\"exclusiveMinimum\":0.5}",
             "{\"type\":\"NUMBER\",\"minimum\":0.5}");
    property("{\"type\":\"array\"}", "{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\"}}");
    property(
        "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}]}",
        "{\"type\":\"ARRAY\",\"items\":{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"}]}}");
    property("{}", "{}");
    property("true", "{}");
    property("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
             "{\"type\":\"OBJECT\"}");
    reduces(
        true,
        "{\"properties\":{\"no\":false,\"a\":{\"type\":\"string\"}},\"required\":[\"no\",\"a\"]}",
        "{\"type\":\"OBJECT\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"STRING\"}}}");
}

static void
merges_what_belongs_together(void **state)
{
    (void)state;
    reduces(true,
            "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
            "\"required\":[\"a\"]},"
            "{\"properties\":{\"b\":{\"type\":\"integer\"},\"a\":{\"description\":\"more\"}},"
            "\"required\":[\"b\",\"a\"]}]}",
            "{\"type\":\"OBJECT\",\"required\":[\"a\",\"b\"],\"properties\":{\"a\":{\"type\":"
            "\"STRING\",\"description\":\"more\"},"
            "\"b\":{\"type\":\"INTEGER\"}}}");
    /* The parameters of a function are one object, whatever the alternatives. */
    reduces(true,
            "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
            "\"required\":[\"a\"]},"
            "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\"}},\"required\":["
            "\"b\"]}]}",
            "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},\"b\":{\"type\":"
            "\"INTEGER\"}}}");
    reduces(false, "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}",
            "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"INTEGER\"}]}");
    property("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
             "\"string\"}},"
             "\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
             "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},\"b\":{\"type\":"
             "\"STRING\"}}}");
}

static void
writes_no_empty_parameters(void **state)
{
    (void)state;
    reduces(true, "{}", NULL);
    reduces(true, "null", NULL);
    reduces(true, "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}", NULL);
    reduces(true, "{\"$ref\":\"#/$defs/E\",\"$defs\":{\"E\":{\"type\":\"object\"}}}", NULL);
    refuses(true, "{\"type\":\"string\"}");
    refuses(true, "[]");
    refuses(true, "\"x\"");
    refuses(true, "{");
    reduces(false, "{\"type\":\"string\"}", "{\"type\":\"STRING\"}");
    reduces(false, "{\"type\":\"object\"}", "{\"type\":\"OBJECT\"}");
}

/* A reference that doubles at each of many levels would be gigabytes. */
static void
refuses_what_explodes(void **state)
{
    (void)state;
    struct sink schema;
    sink_init(&schema, MAX_BYTES);
    sink_text(&schema,
              "{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/d0\"}},\"$defs\":{");
    for (int i = 0; i < 25; i++)
        sink_printf(&schema,
                    "\"d%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
                    "d%d\"},\"b\":{\"$ref\":\"#/$defs/d%d\"}}},",
                    i, i + 1, i + 1);
    sink_text(&schema, "\"d25\":{\"type\":\"string\"}}}");
    sink_byte(&schema, '\0');
    refuses(true, schema.ptr);
    sink_fini(&schema);
}

/* What nests too deeply to be written ends in a plain object. */
static void
ends_deep_schemas(void **state)
{
    (void)state;
    struct sink schema, out;
    struct json_scan scan;
    sink_init(&schema, MAX_BYTES);
    sink_init(&out, MAX_BYTES);
    sink_text(&schema,
              "{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/d0\"}},\"$defs\":{");
    for (int i = 0; i < 100; i++)
        sink_printf(&schema,
                    "\"d%d\":{\"type\":\"array\",\"items\":[{\"$ref\":\"#/$defs/"
                    "d%d\"},{\"type\":\"string\"}]},",
                    i, i + 1);
    sink_text(&schema, "\"d100\":{\"type\":\"string\"}}}");
    assert_int_equal(gemini_schema_reduce(sink_slice(&schema), true, &out), 1);
    assert_int_equal(json_scan(sink_slice(&out), 64, &scan), 0);
    sink_fini(&schema);
    sink_fini(&out);
}

static void
widens(const char *schema, const char *expected)
{
    struct sink out;
    struct arena arena;
    struct json root;
    sink_init(&out, MAX_BYTES);
    arena_init(&arena, MAX_BYTES);
    assert_int_equal(json_parse(slice_from(schema), 64, 10000, &arena, &root), 0);
    assert_int_equal(gemini_schema_widen(root, &arena, &out), 0);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    arena_fini(&arena);
    sink_fini(&out);
}

static void
speaks_json_schema_to_others(void **state)
{
    (void)state;
    widens("{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\",\"nullable\":true,"
           "\"format\":\"enum\",\"enum\":[\"x\",\"y\"]},"
           "\"type\":{\"type\":\"INTEGER\",\"minimum\":\"1\",\"max_length\":\"5\"},\"nullable\":{"
           "\"type\":\"ARRAY\",\"items\":{\"type\":2},"
           "\"min_items\":\"2\"}},\"required\":[\"a\"],\"property_ordering\":[\"a\"],\"example\":{"
           "\"q\":1},\"x-own\":1}",
           "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"enum\":["
           "\"x\",\"y\",null]},"
           "\"type\":{\"type\":\"integer\",\"minimum\":1,\"maxLength\":5},\"nullable\":{\"type\":"
           "\"array\",\"items\":{\"type\":\"number\"},"
           "\"minItems\":2}},\"required\":[\"a\"]}");
    widens("{\"any_of\":[{\"type\":\"STRING\"},{\"type\":\"OBJECT\",\"properties\":{\"z\\\"\":{"
           "\"type\":\"BOOLEAN\"}}}],\"nullable\":true}",
           "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"z\\\"\":{"
           "\"type\":\"boolean\"}}},{\"type\":\"null\"}]}");
    widens("{\"type\":\"object\",\"$defs\":{\"N\":{\"type\":\"object\"}},\"properties\":{\"n\":{\"$"
           "ref\":\"#/$defs/N\"}},"
           "\"additionalProperties\":false}",
           "{\"type\":\"object\",\"$defs\":{\"N\":{\"type\":\"object\"}},\"properties\":{\"n\":{\"$"
           "ref\":\"#/$defs/N\"}},"
           "\"additionalProperties\":false}");
    widens("{\"type\":\"TYPE_UNSPECIFIED\",\"description\":\"d\",\"default\":{\"type\":\"STRING\"},"
           "\"title\":null}",
           "{\"description\":\"d\",\"default\":{\"type\":\"STRING\"}}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_out_what_gemini_does_not_know),
        cmocka_unit_test(keeps_names_and_their_order),
        cmocka_unit_test(resolves_references),
        cmocka_unit_test(makes_one_of_several_forms),
        cmocka_unit_test(merges_what_belongs_together),
        cmocka_unit_test(writes_no_empty_parameters),
        cmocka_unit_test(refuses_what_explodes),
        cmocka_unit_test(ends_deep_schemas),
        cmocka_unit_test(speaks_json_schema_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
