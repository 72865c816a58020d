/* SPDX-License-Identifier: MIT
 *
 * tls_suites.h - what both ends of TLS have in common: version, cipher suites, hashes, seeding.
 * Private to tls_*.c.
 */
#ifndef PENSTOCK_TLS_SUITES_H
#define PENSTOCK_TLS_SUITES_H

#include "base/base.h"

/* tls_suites_apply - set the profile on an engine (br_ssl_engine_context) that init_full has filled
 * with everything. protocols  one name for ALPN, which must outlive the engine */
void tls_suites_apply(void *engine, const char **protocols);
/* tls_seed - inject 48 bytes of the system's randomness; before reset. false: there is none. */
bool tls_seed(void *engine) must_check;
/* tls_suite_name - "ECDHE_ECDSA_AES_128_GCM_SHA256"; "?" for suites that we never use. */
const char *tls_suite_name(unsigned suite);
const char *tls_curve_name(int curve);

#endif
