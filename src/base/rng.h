/* SPDX-License-Identifier: MIT */
/*
 * rng.h - random numbers for jitter and identifiers, from a seed a test can fix.
 *
 * xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Not for secrets.
 */
#ifndef CONEY_BASE_RNG_H
#define CONEY_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *r, uint64_t seed);
/* From getrandom(2). */
void rng_seed_random(struct rng *r);
uint64_t rng_next(struct rng *r);
/* Uniform in [0, bound); 0 for a bound of 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* Uniform in [0, 1). */
double rng_unit(struct rng *r);

enum { UUID_TEXT_SIZE = 37 };
/* A version 4 UUID (RFC 9562 §5.4) in lower case, terminated. */
void rng_uuid(struct rng *r, char text[UUID_TEXT_SIZE]);

#endif /* CONEY_BASE_RNG_H */
