# SPDX-License-Identifier: MIT
"""A document that is true: its files are written, its commands run, its output compared, in order.

A fenced block whose first comment is a file's name becomes that file; another block of sh is run;
of a console block, each `$ ` line is run, and prints the lines below it ("..." is anything).
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

SOURCE = pathlib.Path(os.environ["CONEY_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["CONEY_BUILD_DIR"])
NAME = re.compile(r"\A(?:#!/bin/sh\n)?(?:/\*|#) (\w+\.\w+)(?: \*/)?\n")
MARK = "--- next command ---"


def blocks(document):
    """(language, text) of every block that has a language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (SOURCE / document).read_text(),
                      re.MULTILINE | re.DOTALL)


def steps(text):
    """[(command, the lines it prints)] of a console block."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def stage(directory):
    """The source tree as a document has it, with what this build has made in it."""
    shutil.copytree(SOURCE / "scripts", directory / "scripts")
    (directory / "include").symlink_to(SOURCE / "include")
    (directory / "config").symlink_to(SOURCE / "config")
    (directory / "build").mkdir()
    (directory / "build/quickstart").symlink_to(BUILD)
    # A library with sanitizers wants programs that have them, too.
    library = (BUILD / "libconey.so").read_bytes()
    flags = "-fsanitize=address,undefined" if b"__asan_init" in library else ""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    (directory / "cc").write_text(f'#!/bin/sh\nexec {compiler} {flags} "$@"\n')
    (directory / "cc").chmod(0o755)


def script_of(document, directory):
    """The whole document as one script, and what it has to print after each mark; a block of sh,
    which is no command (None), what it likes."""
    script = ["set -eu"]
    expected = []
    for language, text in blocks(document):
        name = NAME.match(text)
        if name:
            (directory / name[1]).write_text(text)
        elif language == "sh":
            script += [f"echo '{MARK}'", text]
            expected.append((None, []))
        else:
            assert language == "console", language
            for command, output in steps(text):
                script += [f"echo '{MARK}'", f"{command} 2>&1 || echo [status $?]"]
                expected.append((command, output))
    return "\n".join(script) + "\n", expected


def compare(command, wanted, got):
    wanted = "\n".join(wanted)
    got = re.sub(r"\n?\[status \d+\]", "", got).strip("\n")
    pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
    assert re.fullmatch(pattern, got), f"$ {command}\nmust print\n{wanted}\nand printed\n{got}"


def run(script, directory, limit_s):
    """What it prints. Its processes are a session of their own, and gone with it."""
    environment = dict(os.environ, PATH=f"{directory}:{os.environ['PATH']}")
    printed = directory / "printed"
    with open(printed, "w", encoding="utf-8") as file, \
            subprocess.Popen(["bash", "-c", script], cwd=directory, env=environment,
                             stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                             start_new_session=True) as shell:
        try:
            shell.wait(limit_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            print(printed.read_text())
    assert shell.returncode == 0, f"status {shell.returncode}"
    return printed.read_text()


def check(document, server, commands_min, logs, limit_s=150):
    """`server`: the name that it gives its broker and redis; `logs` are printed at the end."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="coney-document-"))
    try:
        stage(directory)
        script, expected = script_of(document, directory)
        assert len(expected) >= commands_min, f"{document} has lost its commands"
        outputs = run(script, directory, limit_s).split(MARK + "\n")[1:]
        assert len(outputs) == len(expected), (len(outputs), len(expected))
        for (command, wanted), got in zip(expected, outputs):
            if command:
                compare(command, wanted, got)
    finally:
        for log in (directory / name for name in logs):
            if log.exists():
                print(f"--- {log.name}\n{log.read_text()[-20000:]}")
        for kind in ("broker", "redis"):
            subprocess.run([directory / "scripts" / kind, "remove", server], check=False)
        shutil.rmtree(directory)
