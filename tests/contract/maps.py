#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The maps are true: README.md's directories, and in src/README.md the rooms with what they may
use (as scripts/check-layers has them), the files of a task's life, and the libraries.
"""
import os
import pathlib
import re

SOURCE = pathlib.Path(os.environ["CONEY_SOURCE_DIR"])
# What pkg-config calls them, and what people do.
LIBRARIES = {"librabbitmq": "rabbitmq-c", "openssl": "OpenSSL", "hiredis": "hiredis",
             "jansson": "jansson", "libuv": "libuv", "yaml-0.1": "libyaml",
             "libsystemd": "libsystemd", "zlib": "zlib", "uuid": "libuuid", "cmocka": "cmocka"}


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def table(text):
    """The cells of each row but the head."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def check_directories(readme):
    named = {line.split("/")[0] for line in section(readme, "Where things are").splitlines()
             if "/   " in line or re.match(r"\w+/ ", line)}
    there = {path.name for path in SOURCE.iterdir()
             if path.is_dir() and not path.name.startswith(".") and path.name != "build"}
    assert named == there, f"README.md names {sorted(named)}, and there are {sorted(there)}"


def check_paths(readme):
    """Scripts and files that README.md names in passing."""
    for path in set(re.findall(r"\b(?:scripts|config|src|tests)/[\w./-]*\w", readme)):
        assert (SOURCE / path).exists(), f"README.md: there is no {path}"


def check_rooms(source_map):
    named = {row[0].strip("`"): row[1].replace("–", "").split()
             for row in table(section(source_map, "Rooms"))}
    layers = re.search(r"<<TABLE\n(.*?)^TABLE$", (SOURCE / "scripts/check-layers").read_text(),
                       re.MULTILINE | re.DOTALL)[1]
    allowed = {words[0]: words[1:] for words in map(str.split, layers.splitlines())}
    assert named == allowed, f"src/README.md: {named}\nscripts/check-layers: {allowed}"


def check_files(source_map):
    """`room/file`, then `file` of the same room."""
    count = 0
    for row in table(section(source_map, "Life of a task")):
        room = None
        for word in re.findall(r"`([a-z_/]+)`", row[1]):
            room, _, name = word.rpartition("/") if "/" in word else (room, "", word)
            assert not name or list((SOURCE / "src" / room).glob(f"{name}.[ch]")), \
                f"src/README.md: there is no {room}/{name}"
            count += 1
    assert count > 30, "the life of a task has lost its files"


def check_libraries(source_map):
    named = {row[0] for row in table(section(source_map, "Libraries"))}
    wanted = set()
    for path in ("CMakeLists.txt", "tests/CMakeLists.txt"):
        for module in re.findall(r"IMPORTED_TARGET ([\w.-]+?)(?:>=|\))",
                                 (SOURCE / path).read_text()):
            wanted.add(LIBRARIES[module])
    assert named == wanted, f"src/README.md: {sorted(named)}, CMakeLists.txt: {sorted(wanted)}"


def main():
    readme = (SOURCE / "README.md").read_text()
    source_map = (SOURCE / "src/README.md").read_text()
    check_directories(readme)
    check_paths(readme)
    check_rooms(source_map)
    check_files(source_map)
    check_libraries(source_map)


main()
