"""`python -m novatrace`, and the script `novatrace`."""

import pathlib
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(sys.platform == "win32", reason="sockets in the file system")
def test_a_path_that_is_an_address_is_received_by_the_command(oracle, tmp_path):
    receive = subprocess.Popen(
        [sys.executable, "-m", "novatrace", "receive", "--listen", "unix:socket", "-o", "traces", "--count", "2"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )
    address = f"unix:{tmp_path}/socket"
    with novatrace.TraceGenerator(address) as trace:
        for at in range(1_000):
            trace.track("XPU").duration(at * 10, 5, "gemm")
    with novatrace.open(address, compression="zlib"):
        for at in range(1_000):
            novatrace.instant("gemm")
    out, _ = receive.communicate(timeout=60)
    assert receive.returncode == 0
    for path in out.split():
        oracle.read(tmp_path / path)
        assert oracle.rows("select count(*) from slice where name = 'gemm'") == [(1_000,)]
    with pytest.raises(novatrace.TraceValueError, match="tcp://nowhere.*no host and port"):
        novatrace.TraceGenerator("tcp://nowhere")
