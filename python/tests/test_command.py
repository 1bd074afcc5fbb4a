"""`python -m novatrace`, and the script `novatrace`."""

import pathlib
import subprocess
import sys

import novatrace


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
