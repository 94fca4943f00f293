"""Requests that nobody would write, made from the API's own description: none makes the server fail.

More of them: STARGAN_FUZZ=10000 python -m pytest tests/test_web_fuzz.py
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, given, settings
from web_server import serving

import stargan
from stargan.config.recipes import recipe
from stargan.model import run_folder
from stargan.web import Limits
from stargan.web.watching import open_runs

CASES = int(os.environ.get("STARGAN_FUZZ", "8"))  # for each path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    run = tmp_path_factory.mktemp("runs") / "run"
    run_folder.save_config(run, recipe("demo"))
    with serving({"cartoons": stargan.load("cartoons")}, Limits(seconds=20), runs=open_runs([run])) as client:
        yield str(client.base_url)


def check(case: Any) -> None:
    answer = case.call(timeout=30)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json().keys() == {"code", "message"}


def test_no_request_makes_it_fail(address: str) -> None:
    description = schemathesis.openapi.from_url(f"{address.rstrip('/')}/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) == 9
    limits = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    for operation in operations:
        limits(given(case=operation.as_strategy())(check))()
