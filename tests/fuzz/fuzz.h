/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - what a fuzz target is: one function that takes any bytes and asserts what must hold.
 *
 * The same source is linked with libFuzzer (-Dfuzz=true, clang) and with replay.c, which feeds it
 * the seeds, so that every seed is a regression test everywhere.
 */
#ifndef PENSTOCK_FUZZ_H
#define PENSTOCK_FUZZ_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#endif
