"""Files at a URI: which there are, and a first contact that may fail in every way.

Arrow's file systems retry for a quarter of an hour where nothing answers, and the one of Azure ends
the process where it has no credentials. So another process makes the first contact, for a limited
time; what fails there is a message here.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

from calibcli.errors import InputError
from calibcli.io.failures import show

PATIENCE = 30.0
"""Seconds for the first contact, and for the retries of a read."""
_KNOWN = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")
_WEB = ("http", "https", "ftp", "ftps", "sftp")
_CONTACT = """
import sys
from pyarrow import fs
system, path = fs.FileSystem.from_uri(sys.argv[1])
system.get_file_info(path)
"""


def file_system(uri: str) -> tuple[Any, str]:
    """Return Arrow's file system of a URI, and the path in it."""
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(_limited(uri))
    return system, str(path)


def _limited(uri: str) -> str:
    """Return a URI whose reads are retried for a limited time."""
    if not uri.startswith(("gs:", "gcs:")) or "retry_limit_seconds=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={PATIENCE:g}"


def reach(uri: str, shown: str) -> None:
    """Make the first contact with what is at a URI.

    Args:
        uri: of a file or a folder.
        shown: what messages call it, without credentials.

    Raises:
        InputError: a scheme that is not read, or nothing there that answers.
    """
    scheme = uri.partition("://")[0].lower()
    if scheme in _WEB:
        raise InputError(
            f"{show(shown)}: {scheme}:// is not read", hint="fetch it first: curl -O URL"
        )
    if scheme not in _KNOWN:
        raise InputError(
            f"{show(shown)}: {scheme}:// is not read", hint="known are s3, gs, abfs, hdfs and file"
        )
    failure = None if scheme == "file" else _contact(_limited(uri))
    if failure is not None:
        raise InputError(
            f"{show(shown)}: {failure}", hint="check the URI, the network and the credentials"
        )


@functools.cache
def _contact(uri: str) -> str | None:
    """Look for what is at a URI in another process; return what is wrong, None if it answers."""
    command = [sys.executable, "-P", "-c", _CONTACT, uri]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"has not answered for {PATIENCE:g} s"
    if done.returncode:
        return (
            "cannot be reached"
            if done.returncode == 1
            else "what opens it has crashed, as it does without credentials"
        )
    return None
