"""URIs where nothing answers: one line and exit code 3, after a limited time."""

from __future__ import annotations

import socket
import sys

import pytest

from calibcli.errors import InputError
from calibcli.io.formats import remote
from calibcli.io.formats.sources import expand


@pytest.fixture(autouse=True)
def _fresh():
    remote._contact.cache_clear()


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "HTTPS"])
def test_the_web_is_not_read(calibcli, scheme):
    ran = calibcli("measure", f"{scheme}://user:secret@example.invalid/x.csv")
    assert (ran.code, ran.out) == (3, "")
    assert f"{scheme.lower()}:// is not read" in ran.err
    assert "curl" in ran.err
    assert "secret" not in ran.err


def test_an_unknown_scheme():
    with pytest.raises(InputError, match="foo:// is not read"):
        expand(["foo://x/y"])


def test_a_server_that_accepts_and_says_nothing(monkeypatch, calibcli):
    monkeypatch.setattr(remote, "PATIENCE", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        ran = calibcli("measure", f"s3://anonymous:secret@bucket/x.parquet?{place}")
    assert (ran.code, ran.out) == (3, "")
    assert "has not answered for 2 s" in ran.err or "cannot be reached" in ran.err
    assert "secret" not in ran.err
    assert len(ran.err.splitlines()) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import time; time.sleep(600)", "has not answered for"),
        ("import os; os.abort()", "what opens it has crashed"),
        ("raise OSError", "cannot be reached"),
    ],
)
def test_what_opens_it_may_hang_or_crash(monkeypatch, calibcli, body, said):
    monkeypatch.setattr(remote, "PATIENCE", 5.0 if "sleep" in body else 60.0)
    monkeypatch.setattr(remote, "_CONTACT", body)
    ran = calibcli("measure", "abfs://container@account.dfs.core.windows.net/x.csv")
    assert (ran.code, ran.out) == (3, "")
    assert said in ran.err
    assert "credentials" in ran.err


def test_retries_are_limited():
    assert remote._limited("gs://a/b") == "gs://a/b?retry_limit_seconds=30"
    assert remote._limited("gs://a/b?x=1") == "gs://a/b?x=1&retry_limit_seconds=30"
    for kept in ("gs://a?retry_limit_seconds=5", "s3://a/b", "file:///a"):
        assert remote._limited(kept) == kept


def test_a_file_uri_needs_no_other_process(monkeypatch, write, binary, good):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    path = write("scores.csv", binary)
    ran = good("measure", path.as_uri(), "--no-ci", "--format", "json")
    assert ran.json["overall"]["metrics"]["n"]["value"] == 400
