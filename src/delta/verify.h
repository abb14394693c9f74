/*
 * Verification tags: prove that the receiver's new file holds the bytes the sender read. A message authentication
 * code under a key that the two ends of one session drew; nobody who merely writes files can aim at a collision.
 * GMAC over AES-128 (5 GB/s and more with AES-NI and PCLMUL), else SHA-256 or BLAKE2b keyed by prefix. Negotiated.
 *   GMAC:    key = the first 16 bytes, IV = the 16 bytes of the nonce, data as AAD (NIST SP 800-38D).
 *   hashes:  first 16 bytes of H(key || nonce || data), H = SHA-256 or BLAKE2b-512.
 *   nonce:   nonce_hi, nonce_lo, each little-endian.
 * Role      pure computation (OpenSSL).
 * Lifetime  verifier_new() .. verifier_free(), any number of files in between; the key is wiped at the end.
 * Threads   one verifier belongs to one thread at a time.
 */
#ifndef WHERRY_DELTA_VERIFY_H
#define WHERRY_DELTA_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verify_kind { VERIFY_GMAC = 1, VERIFY_SHA256 = 2, VERIFY_BLAKE2B = 3 }; /* numbers are on the wire */
enum { VERIFY_KEY_BYTES = 32, VERIFY_TAG_BYTES = 16 };

struct verifier;

/* NULL when the kind is unknown (or OpenSSL was built or configured without it). */
struct verifier *verifier_new(enum verify_kind kind, const uint8_t key[VERIFY_KEY_BYTES]);
void verifier_free(struct verifier *v);

/* One file: begin with a number that is unique to the file in this session (both ends use the same; with GMAC two
 * files under one number would give the key away), then its bytes in order. A file may be left unfinished by
 * beginning the next one. */
void verifier_begin(struct verifier *v, uint64_t nonce_hi, uint64_t nonce_lo);
void verifier_update(struct verifier *v, const void *data, size_t n);
/* A hole of n bytes that is sent as such: counts as a 16-byte record, so that its length costs nothing. */
void verifier_hole(struct verifier *v, uint64_t n);
void verifier_end(struct verifier *v, uint8_t tag[VERIFY_TAG_BYTES]);

/* Constant-time comparison. */
bool verify_equal(const uint8_t a[VERIFY_TAG_BYTES], const uint8_t b[VERIFY_TAG_BYTES]);

/* Kinds this machine does well, best first (GMAC only where the CPU has AES and carry-less multiply); returns
 * how many (at most 3). */
size_t verify_kinds(enum verify_kind kinds[3]);

#endif
