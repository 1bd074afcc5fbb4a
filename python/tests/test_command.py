"""`python -m novatrace`, and the script `novatrace`."""

import pathlib
import subprocess
import sys

import novatrace
from novatrace.__main__ import BINARYS_COMMANDS


def test_the_module_is_the_command(tmp_path):
    for command in ([sys.executable, "-m", "novatrace"], [str(pathlib.Path(sys.executable).with_name("novatrace"))]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"novatrace {novatrace.__version__}\n")
    done = subprocess.run(
        [sys.executable, "-m", "novatrace", "demo", "--model", "gpt2", "--hardware", "edge-1x2", "--prompt-tokens", "8",
         "--decode-steps", "1"],
        capture_output=True, text=True, cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "open https://ui.perfetto.dev" in done.stdout
    assert (tmp_path / "accelerator.pftrace").stat().st_size > 10_000


def test_the_commands_of_the_package_are_listed_where_the_others_are():
    def novatrace_says(*arguments):
        return subprocess.run([sys.executable, "-m", "novatrace", *arguments], capture_output=True, text=True)

    run = "\n  run   Run a Python program"
    for asked in ("-h", "--help", "help"):
        assert run in novatrace_says(asked).stdout
    for wrong in ((), ("nonsense",), ("nonsense", "x")):
        done = novatrace_says(*wrong)
        assert done.returncode == 2 and run in done.stderr and not done.stdout
    assert run not in novatrace_says("info").stderr
    listed = novatrace_says("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    assert {line.split()[0] for line in listed.splitlines()} == BINARYS_COMMANDS
