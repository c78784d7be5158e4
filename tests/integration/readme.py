#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180 no-broker
"""The README is true."""
import document

document.check("README.md", "first", 7, ["worker.log"])
