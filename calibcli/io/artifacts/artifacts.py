"""The four JSON artifacts: calibrator, thresholds, stats, evidence. Written exactly, read strictly.

A number is written as the shortest text that reads back as the same double. Each file carries its
schema, its version and a digest of its content, so that a file of another kind, from a newer
calibcli, or with edited numbers is refused rather than misread.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, TypeVar

from msgspec import ValidationError

from calibcli.core.results.reading import typed_as
from calibcli.errors import InputError, did_you_mean
from calibcli.io.artifacts.schema import violation
from calibcli.io.failures import reading, show
from calibcli.io.output.sink import write_atomic

T = TypeVar("T")

KINDS = ("calibrator", "thresholds", "stats", "evidence")
VERSIONS = {"calibrator": 1, "thresholds": 1, "stats": 1, "evidence": 1}
MAX_BYTES = 2**28
MAX_DEPTH = 64
UNSEALED: list[str] = []
"""Artifacts read by this process that have no digest: somebody has changed them by hand.

Whoever uses one is told, and what fails then is its fault, not a bug here.
"""
_MADE_BY = {
    "calibrator": "fit",
    "thresholds": "threshold",
    "stats": "measure --save-stats",
    "evidence": "measure --evidence",
}


def digest_of(payload: dict[str, Any]) -> str:
    """Return `sha256:…` of an artifact: of its JSON without spaces, keys sorted, no `digest`."""
    content = {key: value for key, value in payload.items() if key != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def completed(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload with `schema` and `version` first and `digest` last."""
    whole = {"schema": f"calibcli/{kind}", "version": VERSIONS[kind], **payload}
    whole.pop("digest", None)
    return {**whole, "digest": digest_of(whole)}


def to_text(value: Any) -> str:
    """Return JSON for people and for `diff`: a key on each line, an array of numbers on one.

    Keys keep their order, and floats read back as the same double.

    Raises:
        ValueError: NaN or an infinity, which JSON does not have.
    """
    return _text(value, "") + "\n"


def _text(value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{deeper}{_plain(key)}: {_text(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list, tuple)) for v in value):
        lines = [f"{deeper}{_text(item, deeper)}" for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return _plain(value)


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Controls, and names of files that are not UTF-8, are escapes.
    return text if text.isprintable() else json.dumps(value, allow_nan=False)


def write_artifact(path: str, kind: str, payload: dict[str, Any]) -> str:
    """Write an artifact atomically, with schema, version and digest; return the digest.

    Args:
        path: Where to.
        kind: "calibrator", "thresholds" or "stats".
        payload: JSON-plain values in the order in which they are to be written.

    Raises:
        InputError: See `sink.AtomicFile`; the old file is untouched.
        ValueError: The payload holds NaN or breaks its schema: a bug of the caller.
    """
    text, digest = artifact_text(kind, payload)
    write_atomic(path, text)
    return digest


def artifact_text(kind: str, payload: dict[str, Any]) -> tuple[str, str]:
    """Return the text of an artifact as `write_artifact` writes it, and its digest."""
    whole = completed(kind, payload)
    # What is written is what a reader would get: a tuple becomes a list, a key a string.
    text = to_text(whole)
    wrong = violation(json.loads(text), kind)
    if wrong is not None:
        raise ValueError(f"{kind} artifact: {wrong}")
    return text, str(whole["digest"])


def read_artifact(path: str, kind: str) -> dict[str, Any]:
    """Read an artifact, and check everything that can be checked without knowing its use.

    Raises:
        InputError: Not JSON, another kind of file, an unknown version, a missing or ill-typed
            entry, or numbers that were edited after it was written.
    """
    with reading(path, f"{kind} file"):
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{show(path)} is {size:,} bytes long, too long for {_a(kind)} file",
                hint=_origin(kind),
            )
        content = Path(path).read_bytes()
    return parse_artifact(content, path, kind)


def read_as(path: str, kind: str, shape: type[T]) -> tuple[dict[str, Any], T]:
    """Read an artifact as `read_artifact` does, and what of it a type holds.

    Raises:
        InputError: as there, or something in it is not of the type.
    """
    payload = read_artifact(path, kind)
    try:
        return payload, typed_as(payload, shape)
    except ValidationError as error:
        raise _not_whole(path, kind, error) from error


def parse_artifact(content: bytes, path: str, kind: str) -> dict[str, Any]:
    """Check the bytes of an artifact as `read_artifact` does; `path` is for messages."""
    name = show(path)
    value = _strict_json(content, name, kind)
    if not isinstance(value, dict):
        hint = _origin(kind)
        if kind == "stats" and isinstance(value, list):
            hint += "; a list of detections needs --task detection --ground-truth FILE"
        raise InputError(f"{name} is not {_a(kind)} file", hint=hint)
    schema = value.get("schema")
    if schema != f"calibcli/{kind}":
        raise _other_kind(schema, name, kind)
    version = value.get("version")
    if version != VERSIONS[kind] or isinstance(version, bool):
        shown = version if isinstance(version, int) else "unknown"
        by = value.get("calibcli")
        written = f"; it was written by calibcli {by}" if _is_version(by) else ""
        raise InputError(
            f"{name} has {kind} version {shown}, this calibcli reads version {VERSIONS[kind]}",
            hint=f"upgrade calibcli, or write the file again{written}",
        )
    wrong = violation(value, kind)
    if wrong is not None:
        raise _not_whole(path, kind, wrong)
    if "digest" not in value:
        UNSEALED.append(name)
    elif value["digest"] != digest_of(value):
        raise InputError(
            f"{name} was changed after it was written: its digest does not match",
            hint="write it again; or, to use it as it is now, remove its 'digest' line",
        )
    return value


def _not_whole(path: str, kind: str, wrong: object) -> InputError:
    return InputError(f"{show(path)} is not a whole {kind} file: {wrong}", hint=_origin(kind))


def _is_version(text: object) -> bool:
    return isinstance(text, str) and len(text) < 40 and text.isprintable()


def _a(kind: str) -> str:
    """Return a word behind its article."""
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _origin(kind: str) -> str:
    return f"calibcli {_MADE_BY[kind]} writes it"


def _other_kind(schema: object, name: str, kind: str) -> InputError:
    if isinstance(schema, str) and schema.startswith("calibcli/") and schema.isprintable():
        other = schema.removeprefix("calibcli/")
        hint = did_you_mean(other, KINDS) if other not in KINDS else None
        return InputError(
            f"{name} is {_a(other[:40])} file, not {_a(kind)} file", hint=hint or _origin(kind)
        )
    return InputError(f"{name} is not {_a(kind)} file of calibcli", hint=_origin(kind))


def _strict_json(content: bytes, name: str, kind: str) -> Any:
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        # A list of millions takes half a minute to parse, and is no artifact whatever it holds.
        raise InputError(f"{name} is not {_a(kind)} file: it holds a list", hint=_origin(kind))
    try:
        value = json.loads(
            content.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_no_repeats
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not JSON: not UTF-8 text", hint=_origin(kind)) from error
    except json.JSONDecodeError as error:
        empty = not content.strip()
        where = "it is empty" if empty else f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{name} is not JSON: {where}", hint=_origin(kind)) from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deep", hint=_origin(kind)) from error
    except ValueError as error:  # from the hooks, or a number of thousands of digits
        raise InputError(
            f"{name} is not strict JSON: {_reason(error)}", hint=_origin(kind)
        ) from error
    wrong = _too_deep_or_infinite(value)
    if wrong is not None:
        raise InputError(f"{name} {wrong}", hint=_origin(kind))
    return value


class _NotStrictError(ValueError):
    pass


def _reason(error: ValueError) -> str:
    return str(error) if isinstance(error, _NotStrictError) else "a number is too long"


def _no_constant(name: str) -> Any:
    raise _NotStrictError(f"{name} is no number in JSON")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrictError("a key comes twice in one object")
    return found


def _too_deep_or_infinite(value: Any) -> str | None:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            members = item.values() if isinstance(item, dict) else item
            if isinstance(item, (dict, list)):
                inner.extend(m for m in members if isinstance(m, (dict, list)))
                if any(m in (math.inf, -math.inf) for m in members if isinstance(m, float)):
                    return "holds a number that is too large for a double"
            elif item in (math.inf, -math.inf):
                return "holds a number that is too large for a double"
        if not inner:
            return None
        level = inner
    return "is nested too deep"


def kind_of(path: str) -> str | None:
    """Return which kind of artifact a file says it is; None when it does not say."""
    with reading(path, "artifact"):
        content = Path(path).read_bytes()[:MAX_BYTES]
    value = _strict_json(content, show(path), "calibrator")
    schema = value.get("schema") if isinstance(value, dict) else None
    return schema.removeprefix("calibcli/") if isinstance(schema, str) else None
