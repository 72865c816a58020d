/* SPDX-License-Identifier: MIT
 *
 * tls_error.c - names and words for TLS errors: the engine's codes, alerts in both directions, our
 * own checks.
 */
#include "reactor/tls.h"

#include "reactor/trust.h"

#include <bearssl.h>

struct error_row {
    int code;
    const char *name, *text;
};

static const struct error_row engine_rows[] = {
    {BR_ERR_BAD_PARAM, "bad_parameter", "the TLS engine was set up wrongly (a bug)"},
    {BR_ERR_BAD_STATE, "bad_state", "the TLS engine was used out of order (a bug)"},
    {BR_ERR_UNSUPPORTED_VERSION, "not_tls",
     "the peer does not speak TLS on this port; it may be plain HTTP (check http:// or https:// "
     "and the port)"},
    {BR_ERR_BAD_VERSION, "bad_version", "the peer changed the protocol version between records"},
    {BR_ERR_BAD_LENGTH, "bad_length", "a record has an impossible length"},
    {BR_ERR_TOO_LARGE, "record_too_large", "a record or handshake message is too large"},
    {BR_ERR_BAD_MAC, "bad_mac",
     "a record failed its integrity check: damaged on the way, or an attack"},
    {BR_ERR_NO_RANDOM, "no_entropy", "the system gave no random bytes"},
    {BR_ERR_UNKNOWN_TYPE, "unknown_record", "a record of unknown type"},
    {BR_ERR_UNEXPECTED, "unexpected_message", "the peer sent a message out of order"},
    {BR_ERR_BAD_CCS, "bad_change_cipher", "malformed ChangeCipherSpec"},
    {BR_ERR_BAD_ALERT, "bad_alert", "malformed alert"},
    {BR_ERR_BAD_HANDSHAKE, "bad_handshake", "malformed handshake message"},
    {BR_ERR_OVERSIZED_ID, "session_id_too_long", "the peer sent a session id over 32 bytes"},
    {BR_ERR_BAD_CIPHER_SUITE, "bad_suite", "the peer chose a cipher suite that was not offered"},
    {BR_ERR_BAD_COMPRESSION, "bad_compression",
     "the peer chose a compression that was not offered"},
    {BR_ERR_BAD_FRAGLEN, "bad_fragment_length", "the peer answered with another fragment length"},
    {BR_ERR_BAD_SECRENEG, "bad_renegotiation", "the secure renegotiation check failed"},
    {BR_ERR_EXTRA_EXTENSION, "extra_extension",
     "the peer sent an extension that was not asked for"},
    {BR_ERR_BAD_SNI, "bad_server_name", "malformed server name extension"},
    {BR_ERR_BAD_HELLO_DONE, "bad_hello_done", "malformed ServerHelloDone"},
    {BR_ERR_LIMIT_EXCEEDED, "limit_exceeded", "the peer's public key is too large"},
    {BR_ERR_BAD_FINISHED, "bad_finished",
     "the handshakes seen by both sides differ: damaged on the way, or an attack"},
    {BR_ERR_RESUME_MISMATCH, "resume_mismatch",
     "the peer resumed the session with other parameters"},
    {BR_ERR_INVALID_ALGORITHM, "invalid_algorithm",
     "the peer wants a curve, hash or signature that is not supported"},
    {BR_ERR_BAD_SIGNATURE, "bad_signature",
     "the peer's key exchange is not signed by its certificate's key"},
    {BR_ERR_WRONG_KEY_USAGE, "wrong_key_usage",
     "the certificate's key may not be used for this cipher suite"},
    {BR_ERR_NO_CLIENT_AUTH, "no_client_certificate",
     "the peer asked for a client certificate; we have none"},
    {BR_ERR_IO, "io", "the connection broke"},
    {BR_ERR_X509_INVALID_VALUE, "certificate_invalid_value",
     "a value in the certificate is invalid"},
    {BR_ERR_X509_TRUNCATED, "certificate_truncated", "the certificate is cut short"},
    {BR_ERR_X509_EMPTY_CHAIN, "certificate_missing", "the peer sent no certificate"},
    {BR_ERR_X509_INNER_TRUNC, "certificate_truncated",
     "an element of the certificate is cut short"},
    {BR_ERR_X509_BAD_TAG_CLASS, "certificate_bad_tag", "the certificate is not DER"},
    {BR_ERR_X509_BAD_TAG_VALUE, "certificate_bad_tag", "the certificate is not DER"},
    {BR_ERR_X509_INDEFINITE_LENGTH, "certificate_bad_length", "the certificate is not DER"},
    {BR_ERR_X509_EXTRA_ELEMENT, "certificate_extra", "the certificate has bytes behind its end"},
    {BR_ERR_X509_UNEXPECTED, "certificate_unexpected", "an unexpected element in the certificate"},
    {BR_ERR_X509_NOT_CONSTRUCTED, "certificate_bad_tag", "the certificate is not DER"},
    {BR_ERR_X509_NOT_PRIMITIVE, "certificate_bad_tag", "the certificate is not DER"},
    {BR_ERR_X509_PARTIAL_BYTE, "certificate_partial_byte",
     "a bit string of the certificate is malformed"},
    {BR_ERR_X509_BAD_BOOLEAN, "certificate_bad_boolean",
     "a boolean of the certificate is malformed"},
    {BR_ERR_X509_OVERFLOW, "certificate_overflow", "a number in the certificate is too large"},
    {BR_ERR_X509_BAD_DN, "certificate_bad_name", "a name in the certificate is malformed"},
    {BR_ERR_X509_BAD_TIME, "certificate_bad_time", "a date in the certificate is malformed"},
    {BR_ERR_X509_UNSUPPORTED, "certificate_unsupported",
     "the certificate uses an algorithm that is not supported (Ed25519, RSA-PSS or a rare curve)"},
    {BR_ERR_X509_LIMIT_EXCEEDED, "certificate_key_too_large",
     "a key in the chain is above 4096 bits"},
    {BR_ERR_X509_WRONG_KEY_TYPE, "certificate_wrong_key_type",
     "the certificate's key is of the wrong type"},
    {BR_ERR_X509_BAD_SIGNATURE, "certificate_bad_signature",
     "a signature in the certificate chain is wrong"},
    {BR_ERR_X509_TIME_UNKNOWN, "time_unknown", "the system's clock is not set"},
    {BR_ERR_X509_EXPIRED, "certificate_expired",
     "a certificate of the chain is expired or not yet valid (check this machine's clock, too)"},
    {BR_ERR_X509_DN_MISMATCH, "chain_out_of_order",
     "the chain is out of order: each certificate must be issued by the next one"},
    {BR_ERR_X509_BAD_SERVER_NAME, "certificate_name_mismatch",
     "the certificate is for another name (set the upstream's server name if that is intended)"},
    {BR_ERR_X509_CRITICAL_EXTENSION, "certificate_critical_extension",
     "a certificate of the chain has a critical extension that is not supported"
     " (name constraints, or an extendedKeyUsage marked critical)"},
    {BR_ERR_X509_NOT_CA, "certificate_not_ca",
     "a certificate of the chain may not issue certificates"},
    {BR_ERR_X509_FORBIDDEN_KEY_USAGE, "certificate_key_usage",
     "a certificate of the chain may not be used to sign certificates"},
    {BR_ERR_X509_WEAK_PUBLIC_KEY, "certificate_weak_key",
     "a key in the chain is below RSA 2048 bits"},
    {BR_ERR_X509_NOT_TRUSTED, "unknown_ca",
     "no trusted authority stands behind the certificate (add its CA to the bundle, or the server"
     " leaves out an intermediate)"},
    {TLS_ERROR_PIN, "pin_mismatch", "the certificate's key is not the pinned one"},
    {TLS_ERROR_PURPOSE, "certificate_purpose",
     "a certificate of the chain is not meant for TLS servers (extendedKeyUsage)"},
    {TLS_ERROR_NAME_CONSTRAINTS, "certificate_name_constraints",
     "an authority in the chain has name constraints, which are not supported"},
    {TLS_ERROR_NO_ALT_NAME, "certificate_no_alt_name",
     "the certificate names its host only in the common name; subjectAltName is needed"},
    {TLS_ERROR_ADDRESS, "certificate_address_mismatch",
     "the certificate is not for this IP address (set the upstream's server name to the name it is "
     "for)"},
    {TLS_ERROR_CHAIN_SIZE, "chain_too_large", "the certificate chain is too large"},
    {TLS_ERROR_CHAIN_SYNTAX, "certificate_malformed", "a certificate of the chain is malformed"},
    {TLS_ERROR_NO_TRUST, "no_trust", "no trust store was given to check the certificate against"},
    {TLS_ERROR_HUNG_UP, "hung_up", "the peer closed the connection in the middle of the handshake"},
    {TLS_ERROR_HOST, "bad_host", "the host name is too long or has bytes that no name has"},
};

/* By alert description, RFC 5246, 7.2; the code is 256 + the description when received, 512 + when
 * sent. */
static const struct error_row alert_rows[] = {
    {0, "peer_close_notify", "the peer closed the connection"},
    {10, "peer_unexpected_message", "the peer says: unexpected message"},
    {20, "peer_bad_record_mac", "the peer says: record damaged on the way"},
    {22, "peer_record_overflow", "the peer says: record too large"},
    {40, "peer_handshake_failure",
     "the peer says: handshake failure (no common cipher suite, curve or certificate type, or it "
     "insists on"
     " extended master secret)"},
    {42, "peer_bad_certificate", "the peer says: bad certificate"},
    {43, "peer_unsupported_certificate", "the peer says: unsupported certificate"},
    {44, "peer_certificate_revoked", "the peer says: certificate revoked"},
    {45, "peer_certificate_expired", "the peer says: certificate expired"},
    {46, "peer_certificate_unknown", "the peer says: certificate not acceptable"},
    {47, "peer_illegal_parameter", "the peer says: illegal parameter"},
    {48, "peer_unknown_ca", "the peer says: unknown certificate authority"},
    {49, "peer_access_denied", "the peer says: access denied"},
    {50, "peer_decode_error", "the peer says: message could not be read"},
    {51, "peer_decrypt_error", "the peer says: a cryptographic check failed"},
    {70, "peer_protocol_version",
     "the peer says: protocol version; it demands TLS 1.3, and penstock speaks 1.2 (put a TLS 1.3 "
     "proxy such"
     " as stunnel on loopback between them)"},
    {71, "peer_insufficient_security", "the peer says: stronger ciphers are needed"},
    {80, "peer_internal_error", "the peer says: internal error"},
    {86, "peer_inappropriate_fallback", "the peer says: inappropriate fallback"},
    {90, "peer_user_canceled", "the peer says: cancelled"},
    {100, "peer_no_renegotiation", "the peer says: no renegotiation"},
    {110, "peer_unsupported_extension", "the peer says: unsupported extension"},
    {112, "peer_unrecognized_name",
     "the peer says: unknown server name (check the upstream's host and server name)"},
    {116, "peer_certificate_required", "the peer says: client certificate required; we have none"},
    {120, "peer_no_application_protocol", "the peer says: it does not speak http/1.1"},
};

static const struct error_row *
find_row(const struct error_row *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == code)
            return &rows[i];
    }
    return NULL;
}

static const struct error_row *
error_row(int code)
{
    static const struct error_row unknown = {0, "unknown", "an unknown TLS error"};
    static const struct error_row peer_alert = {0, "peer_alert", "the peer sent a fatal alert"};
    static const struct error_row sent_alert = {
        0, "handshake_failure",
        "we refused the handshake: the peer offers nothing in common with us"
        " (it may speak TLS 1.3 only)"};
    static const struct error_row sent_version = {0, "client_version",
                                                  "the peer speaks no TLS version that we do"};
    const struct error_row *row = NULL;
    if (code >= BR_ERR_SEND_FATAL_ALERT && code < BR_ERR_SEND_FATAL_ALERT + 256)
        return code == BR_ERR_SEND_FATAL_ALERT + 70 ? &sent_version : &sent_alert;
    if (code >= BR_ERR_RECV_FATAL_ALERT && code < BR_ERR_RECV_FATAL_ALERT + 256) {
        row = find_row(alert_rows, countof(alert_rows), code - BR_ERR_RECV_FATAL_ALERT);
        return row ? row : &peer_alert;
    }
    row = find_row(engine_rows, countof(engine_rows), code);
    return row ? row : &unknown;
}

const char *
tls_error_text(int tls_error)
{
    return tls_error ? error_row(tls_error)->text : "";
}

const char *
tls_error_name(int tls_error)
{
    return tls_error ? error_row(tls_error)->name : "";
}

int
tls_error_class(int tls_error)
{
    bool engine = tls_error >= BR_ERR_X509_OK && tls_error <= BR_ERR_X509_NOT_TRUSTED;
    bool own = tls_error >= TLS_ERROR_PIN && tls_error <= TLS_ERROR_LAST_CERT;
    return engine || own ? -ERR_TLS_CERT : -ERR_TLS;
}
