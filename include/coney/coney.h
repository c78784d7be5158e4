/* SPDX-License-Identifier: MIT */
/* coney/coney.h - everything a program that sends work needs. */
#ifndef CONEY_CONEY_H
#define CONEY_CONEY_H

#include <coney/canvas.h>
#include <coney/client.h>
#include <coney/error.h>
#include <coney/version.h>

#endif /* CONEY_CONEY_H */
