#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=1200 long
"""As results_many.py, with 100 000 tasks."""
import results_many

if __name__ == "__main__":
    results_many.main(100_000)
