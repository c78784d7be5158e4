/* SPDX-License-Identifier: MIT */
/* rng.c - xoshiro256** and what is made of its output. */
#include "base/rng.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

void rng_seed_random(struct rng *r)
{
    uint64_t seed;
    /* Up to 256 bytes come whole once the kernel's pool is ready (getrandom(2)). */
    ssize_t got = getrandom(&seed, sizeof(seed), 0);
    assert(got == sizeof(seed));
    rng_seed(r, seed);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    if (bound == 0)
        return 0;
    /* Values under 2^64 mod bound would make the low results more likely: draw again. */
    uint64_t unfair = -bound % bound;
    uint64_t x;
    do {
        x = rng_next(r);
    } while (x < unfair);
    return x % bound;
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

void rng_uuid(struct rng *r, char text[UUID_TEXT_SIZE])
{
    uint64_t a = (rng_next(r) & ~(uint64_t)0xf000) | 0x4000;
    uint64_t b = (rng_next(r) & ~((uint64_t)3 << 62)) | ((uint64_t)2 << 62);

    snprintf(text, UUID_TEXT_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
            (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff), (unsigned)(b >> 48),
            (unsigned long long)(b & 0xffffffffffff));
}
