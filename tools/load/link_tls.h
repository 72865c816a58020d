/* SPDX-License-Identifier: MIT
 *
 * link_tls.h - links through the reactor and its TLS. All links of a program are of one kind.
 */
#ifndef PENSTOCK_LOAD_LINK_TLS_H
#define PENSTOCK_LOAD_LINK_TLS_H

#include "tools/load/link.h"

/* links_serve_tls - what is accepted speaks TLS, with this certificate and key (PEM files). false
 * after saying why. */
bool links_serve_tls(struct links *links, const char *certificate, const char *key) must_check;
/* links_ask_tls - what is connected to speaks TLS; its certificate must be valid for name (NULL:
 * the address) by the certificates in a PEM file (NULL: the system's). false after saying why. */
bool links_ask_tls(struct links *links, const char *authorities, const char *name) must_check;

/* For link.c: its functions for links of this kind. */
void link_tls_fini(struct links *links);
void link_tls_turn(struct links *links, uint64_t wait_ns);
int link_tls_listen(struct link *link) must_check;
int link_tls_connect(struct link *link, const struct sockaddr_in *to) must_check;
void link_tls_write(struct link *link, const char *bytes, size_t len);
void link_tls_read(struct link *link, size_t max);
void link_tls_resume(struct link *link);
void link_tls_close(struct link *link, bool reset);

#endif
