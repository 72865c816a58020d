/* SPDX-License-Identifier: MIT
 *
 * tls_der.c - just enough DER to look into an X.509 certificate.
 *
 * A certificate is read front to back with no recursion: its nesting is fixed, so every level is a
 * call by name.
 */
#include "reactor/tls_der.h"

enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,        /* [0] EXPLICIT in TBSCertificate */
    TAG_ISSUER_UNIQUE = 0x81,  /* [1] IMPLICIT BIT STRING */
    TAG_SUBJECT_UNIQUE = 0x82, /* [2] IMPLICIT BIT STRING */
    TAG_EXTENSIONS = 0xa3,     /* [3] EXPLICIT */
    TAG_NAME_DNS = 0x82,       /* GeneralName [2] */
    TAG_NAME_ADDRESS = 0x87,   /* GeneralName [7] */
};

#define EXTENSIONS_MAX 64

static uint8_t
byte_at(struct slice s, size_t i)
{
    assert(i < s.len);
    return (uint8_t)s.ptr[i];
}

bool
der_next(struct slice *in, struct der_item *item)
{
    if (in->len < 2)
        return false;
    uint8_t tag = byte_at(*in, 0);
    size_t head = 2, length = byte_at(*in, 1);
    if ((tag & 0x1f) == 0x1f)
        return false;
    if (length >= 0x80) {
        size_t count = length & 0x7f;
        if (count == 0 || count > 4 || in->len < 2 + count)
            return false;
        length = 0;
        for (size_t i = 0; i < count; i++)
            length = length << 8 | byte_at(*in, 2 + i);
        /* DER has one length only: the shortest. */
        if (length < 0x80 || byte_at(*in, 2) == 0)
            return false;
        head += count;
    }
    if (length > in->len - head)
        return false;
    item->tag = tag;
    item->whole = slice_take(*in, head + length);
    item->body = slice_skip(item->whole, head);
    *in = slice_skip(*in, head + length);
    return true;
}

bool
der_take(struct slice *in, uint8_t tag, struct der_item *item)
{
    return in->len > 0 && byte_at(*in, 0) == tag && der_next(in, item);
}

/* Two decimal digits at text[at]; false on anything else. */
static bool
two_digits(struct slice text, size_t at, int *out)
{
    if (at + 2 > text.len)
        return false;
    char tens = text.ptr[at], ones = text.ptr[at + 1];
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9')
        return false;
    *out = (tens - '0') * 10 + (ones - '0');
    return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar: years are counted from March, so that
 * the leap day is the last of its year. */
static int64_t
days_of(int year, int month, int day)
{
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era_day = 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400;
    int64_t month_from_march = (month + 9) % 12;
    return era_day + (153 * month_from_march + 2) / 5 + day - 1 - 719468;
}

static bool
read_time(struct slice *in, int64_t *out)
{
    struct der_item item;
    int century = 0, year, month, day, hour, minute, second;
    if (!der_next(in, &item))
        return false;
    size_t at = 0;
    if (item.tag == TAG_GENERALIZED_TIME) {
        if (!two_digits(item.body, 0, &century))
            return false;
        at = 2;
    } else if (item.tag != TAG_UTC_TIME) {
        return false;
    }
    struct slice text = slice_skip(item.body, at);
    if (text.len != 13 || text.ptr[12] != 'Z' || !two_digits(text, 0, &year) ||
        !two_digits(text, 2, &month) || !two_digits(text, 4, &day) || !two_digits(text, 6, &hour) ||
        !two_digits(text, 8, &minute) || !two_digits(text, 10, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    /* UTCTime has two digits of the year: 50 to 99 are the last century's (RFC 5280, 4.1.2.5.1). */
    year += item.tag == TAG_GENERALIZED_TIME ? century * 100 : year >= 50 ? 1900 : 2000;
    *out = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* One SEQUENCE inside an extension's octets, and nothing behind it. */
static bool
only_sequence(struct slice in, struct slice *body)
{
    struct der_item item;
    if (!der_take(&in, TAG_SEQUENCE, &item) || in.len > 0)
        return false;
    *body = item.body;
    return true;
}

static bool
read_extension(struct slice in, struct tls_cert *cert)
{
    static const char id_ce[] = {0x55, 0x1d}; /* 2.5.29 */
    struct der_item oid, flag, value;
    if (!der_take(&in, TAG_OID, &oid))
        return false;
    if (in.len > 0 && byte_at(in, 0) == TAG_BOOLEAN && !der_next(&in, &flag))
        return false;
    if (!der_take(&in, TAG_OCTET_STRING, &value) || in.len > 0)
        return false;
    if (oid.body.len != 3 || memcmp(oid.body.ptr, id_ce, sizeof(id_ce)) != 0)
        return true;
    switch (byte_at(oid.body, 2)) {
    case 17:
        return !slice_present(cert->alt_names) && only_sequence(value.body, &cert->alt_names);
    case 37:
        return !slice_present(cert->purposes) && only_sequence(value.body, &cert->purposes);
    case 30:
        cert->name_constraints = true;
        return true;
    default:
        return true;
    }
}

static bool
read_extensions(struct slice in, struct tls_cert *cert)
{
    struct slice list;
    if (!only_sequence(in, &list))
        return false;
    for (int count = 0; list.len > 0; count++) {
        struct der_item extension;
        if (count == EXTENSIONS_MAX || !der_take(&list, TAG_SEQUENCE, &extension) ||
            !read_extension(extension.body, cert))
            return false;
    }
    return true;
}

static bool
read_key(struct slice in, struct tls_cert *cert)
{
    struct der_item algorithm, oid, curve, bits;
    if (!der_take(&in, TAG_SEQUENCE, &algorithm) || !der_take(&in, TAG_BIT_STRING, &bits) ||
        in.len > 0 || bits.body.len < 1 || byte_at(bits.body, 0) != 0)
        return false;
    if (!der_take(&algorithm.body, TAG_OID, &oid))
        return false;
    cert->key_algorithm = oid.body;
    cert->key_curve = SLICE_NONE;
    if (der_take(&algorithm.body, TAG_OID, &curve))
        cert->key_curve = curve.body;
    cert->key = slice_skip(bits.body, 1);
    return true;
}

static bool
read_tbs(struct slice in, struct tls_cert *cert)
{
    struct der_item item, validity;
    if (in.len > 0 && byte_at(in, 0) == TAG_VERSION && !der_next(&in, &item))
        return false;
    if (!der_take(&in, TAG_INTEGER, &item))
        return false;
    cert->serial = item.body;
    if (!der_take(&in, TAG_SEQUENCE, &item)) /* the algorithm, again outside */
        return false;
    if (!der_take(&in, TAG_SEQUENCE, &item))
        return false;
    cert->issuer = item.whole;
    if (!der_take(&in, TAG_SEQUENCE, &validity) || !read_time(&validity.body, &cert->not_before) ||
        !read_time(&validity.body, &cert->not_after) || validity.body.len > 0)
        return false;
    if (!der_take(&in, TAG_SEQUENCE, &item))
        return false;
    cert->subject = item.whole;
    if (!der_take(&in, TAG_SEQUENCE, &item) || !read_key(item.body, cert))
        return false;
    cert->spki = item.whole;
    if (in.len > 0 && byte_at(in, 0) == TAG_ISSUER_UNIQUE && !der_next(&in, &item))
        return false;
    if (in.len > 0 && byte_at(in, 0) == TAG_SUBJECT_UNIQUE && !der_next(&in, &item))
        return false;
    if (in.len > 0 && (!der_take(&in, TAG_EXTENSIONS, &item) || !read_extensions(item.body, cert)))
        return false;
    return in.len == 0;
}

bool
tls_cert_read(struct slice der, struct tls_cert *cert)
{
    struct der_item outer, tbs, algorithm, oid, bits;
    *cert = (struct tls_cert){.whole = der};
    if (!der_take(&der, TAG_SEQUENCE, &outer) || der.len > 0)
        return false;
    if (!der_take(&outer.body, TAG_SEQUENCE, &tbs) ||
        !der_take(&outer.body, TAG_SEQUENCE, &algorithm) ||
        !der_take(&outer.body, TAG_BIT_STRING, &bits) || outer.body.len > 0)
        return false;
    if (!der_take(&algorithm.body, TAG_OID, &oid))
        return false;
    cert->tbs = tbs.whole;
    cert->signature = oid.body;
    return read_tbs(tbs.body, cert);
}

bool
tls_cert_serves(const struct tls_cert *cert)
{
    static const char any[] = {0x55, 0x1d, 0x25, 0x00}; /* 2.5.29.37.0 */
    static const char server_auth[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    if (!slice_present(cert->purposes))
        return true;
    struct slice list = cert->purposes;
    struct der_item oid;
    while (der_take(&list, TAG_OID, &oid)) {
        if (slice_eq(oid.body, slice_of(server_auth, sizeof(server_auth))) ||
            slice_eq(oid.body, slice_of(any, sizeof(any))))
            return true;
    }
    return false;
}

bool
tls_cert_has_address(const struct tls_cert *cert, struct slice address)
{
    struct slice list = cert->alt_names;
    struct der_item name;
    if (address.len != 4 && address.len != 16)
        return false;
    while (der_next(&list, &name)) {
        if (name.tag == TAG_NAME_ADDRESS && slice_eq(name.body, address))
            return true;
    }
    return false;
}

/* -- texts for people -- */

struct oid_name {
    const char *oid; /* contents octets */
    size_t len;
    const char *name;
};
#define OID(octets, name)                                                                          \
    {                                                                                              \
        octets, sizeof(octets) - 1, name                                                           \
    }

static const struct oid_name attribute_names[] = {
    OID("\x55\x04\x03", "CN"), OID("\x55\x04\x06", "C"), OID("\x55\x04\x07", "L"),
    OID("\x55\x04\x08", "ST"), OID("\x55\x04\x0a", "O"), OID("\x55\x04\x0b", "OU"),
};

static const struct oid_name curve_names[] = {
    OID("\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256"),
    OID("\x2b\x81\x04\x00\x22", "P-384"),
    OID("\x2b\x81\x04\x00\x23", "P-521"),
};

static const struct oid_name key_names[] = {
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "RSA"),
    OID("\x2a\x86\x48\xce\x3d\x02\x01", "EC"),
    OID("\x2b\x65\x70", "Ed25519"),
    OID("\x2b\x65\x71", "Ed448"),
};

static const struct oid_name signature_names[] = {
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "RSA with MD5"),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "RSA with SHA-1"),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS"),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", "RSA with SHA-256"),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", "RSA with SHA-384"),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", "RSA with SHA-512"),
    OID("\x2a\x86\x48\xce\x3d\x04\x01", "ECDSA with SHA-1"),
    OID("\x2a\x86\x48\xce\x3d\x04\x03\x02", "ECDSA with SHA-256"),
    OID("\x2a\x86\x48\xce\x3d\x04\x03\x03", "ECDSA with SHA-384"),
    OID("\x2a\x86\x48\xce\x3d\x04\x03\x04", "ECDSA with SHA-512"),
    OID("\x2b\x65\x70", "Ed25519"),
};

static const char *
oid_name(const struct oid_name *names, size_t count, struct slice oid)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(slice_of(names[i].oid, names[i].len), oid))
            return names[i].name;
    }
    return NULL;
}

static void
put_printable(struct sink *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = byte_at(bytes, i);
        if (byte >= 0x20 && byte < 0x7f && byte != '\\')
            sink_byte(out, (char)byte);
        else
            sink_printf(out, "\\x%02x", byte);
    }
}

void
tls_cert_name_text(struct slice name, struct sink *out)
{
    struct der_item outer, set, attribute, oid, value;
    const char *separator = "";
    if (!der_take(&name, TAG_SEQUENCE, &outer))
        return;
    while (der_take(&outer.body, TAG_SET, &set)) {
        while (der_take(&set.body, TAG_SEQUENCE, &attribute)) {
            if (!der_take(&attribute.body, TAG_OID, &oid) || !der_next(&attribute.body, &value))
                return;
            const char *label = oid_name(attribute_names, countof(attribute_names), oid.body);
            if (!label)
                continue;
            sink_printf(out, "%s%s=", separator, label);
            put_printable(out, value.body);
            separator = ", ";
        }
    }
}

static void
put_address(struct sink *out, struct slice address)
{
    if (address.len == 4) {
        sink_printf(out, "%d.%d.%d.%d", byte_at(address, 0), byte_at(address, 1),
                    byte_at(address, 2), byte_at(address, 3));
        return;
    }
    for (size_t i = 0; i + 1 < address.len; i += 2)
        sink_printf(out, "%s%x", i ? ":" : "", byte_at(address, i) << 8 | byte_at(address, i + 1));
}

void
tls_cert_alt_names_text(const struct tls_cert *cert, struct sink *out)
{
    struct slice list = cert->alt_names;
    struct der_item name;
    const char *separator = "";
    while (der_next(&list, &name)) {
        if (name.tag != TAG_NAME_DNS && name.tag != TAG_NAME_ADDRESS)
            continue;
        sink_text(out, separator);
        separator = ", ";
        sink_text(out, name.tag == TAG_NAME_DNS ? "dns:" : "ip:");
        if (name.tag == TAG_NAME_DNS)
            put_printable(out, name.body);
        else
            put_address(out, name.body);
    }
}

/* Bits of an RSA modulus: RSAPublicKey is SEQUENCE { modulus INTEGER, publicExponent INTEGER }. */
static size_t
modulus_bits(struct slice key)
{
    struct der_item outer, modulus;
    if (!der_take(&key, TAG_SEQUENCE, &outer) || !der_take(&outer.body, TAG_INTEGER, &modulus))
        return 0;
    struct slice number = modulus.body;
    while (number.len > 0 && byte_at(number, 0) == 0)
        number = slice_skip(number, 1);
    if (number.len == 0)
        return 0;
    size_t bits = number.len * 8;
    for (uint8_t top = byte_at(number, 0); !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

void
tls_cert_key_text(const struct tls_cert *cert, struct sink *out)
{
    const char *algorithm = oid_name(key_names, countof(key_names), cert->key_algorithm);
    const char *curve = oid_name(curve_names, countof(curve_names), cert->key_curve);
    sink_text(out, algorithm ? algorithm : "unknown key type");
    if (slice_present(cert->key_curve))
        sink_printf(out, " %s", curve ? curve : "unknown curve");
    else if (algorithm && strcmp(algorithm, "RSA") == 0)
        sink_printf(out, " %zu", modulus_bits(cert->key));
}

void
tls_cert_signature_text(const struct tls_cert *cert, struct sink *out)
{
    const char *name = oid_name(signature_names, countof(signature_names), cert->signature);
    sink_text(out, name ? name : "unknown algorithm");
}
