/* SPDX-License-Identifier: MIT
 *
 * form.h - finding one field in a multipart/form-data body, where it lies.
 */
#ifndef PENSTOCK_FORM_H
#define PENSTOCK_FORM_H

#include "base/err.h"
#include "base/slice.h"

/*
 * form_find - the contents of the field of that name.
 * type    the Content-Type, with its boundary
 * out     [out] a part of body; absent when no field is called so
 * returns 0, or -ERR_REQUEST when this is no such form, or has several fields of that name
 * source  RFC 7578; RFC 2046, 5.1.1
 */
int form_find(struct slice body, struct slice type, const char *name, struct slice *out) must_check;

#endif
