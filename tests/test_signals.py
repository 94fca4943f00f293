"""Signals that stop a run."""

import os
import signal
from collections.abc import Iterator

import pytest

from stargan.training.signals import stop_signals


@pytest.fixture(autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """The tests themselves may run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_is_told_to_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
    assert signal.getsignal(number) == before


def test_a_run_in_the_background_of_a_script_can_be_stopped() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals() as stopped:
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped()
    finally:
        signal.signal(signal.SIGINT, before)


def test_nohup_lets_a_run_outlive_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopped()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
