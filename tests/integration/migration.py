#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=300 no-broker
"""Moving in from Celery, and back, step by step as config/examples/migration.md says: each task
runs once, wherever it is at the time, and no entry of the schedule comes twice."""
import document

document.check("config/examples/migration.md", "moving", 20,
               ["ledger", "old.log", "new.log", "coney.log", "back.log", "coney-beat.log"], 500)
