"""Signals that stop a run; each is sent in a process of its own, which it would end if nobody listened."""

import subprocess
import sys

import pytest

BEGIN = """
import os, signal
from stargan.training.signals import stop_signals
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under `nohup`
def after(number):
    with stop_signals() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        return stopped()
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", BEGIN + code], check=True, timeout=120)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_run_is_told_to_stop(name: str) -> None:
    run(
        f"before = signal.getsignal(signal.{name})\n"
        f"assert after(signal.{name})\n"
        f"assert signal.getsignal(signal.{name}) == before"
    )


def test_a_run_in_the_background_of_a_script_can_be_stopped() -> None:
    run("signal.signal(signal.SIGINT, signal.SIG_IGN)\nassert after(signal.SIGINT)")


def test_nohup_lets_a_run_outlive_its_terminal() -> None:
    run(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "assert not after(signal.SIGHUP)\n"
        "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN"
    )
