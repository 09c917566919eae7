"""A calibrator as the source of a Python function that needs the standard library only."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from calibcli.core.calibrators import (
    Dirichlet,
    Identity,
    Matrix,
    OneVsRest,
    StructuredMatrix,
    Temperature,
    Vector,
)
from calibcli.core.calibrators.classes.one_vs_rest import TIE
from calibcli.core.calibrators.piecewise import BetaCurve, Constant, Linear, Logistic
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.piecewise import Piece, Pieces
    from calibcli.core.numeric.raw_scale import RawScale

_LISTED = 6
_LOGIT = """
def _logit(p):
    tail = max(min(p, 1.0 - p), 1e-15)
    return math.copysign(math.log1p(-tail) - math.log(tail), p - 0.5)
"""
_EXPIT = """
def _expit(z):
    tail = math.exp(-abs(z))
    tail /= 1.0 + tail
    return 1.0 - tail if z > 0 else tail
"""
_BETA = """
def _beta(a, b, c, z):
    z = min(max(z, -1e300), 1e300)
    rest = math.log1p(math.exp(-abs(z)))
    return _expit(a * (min(z, 0.0) - rest) + b * (max(z, 0.0) + rest) + c)
"""
_FINITE = '''
def _finite(z):
    """Return logits without infinities: a row with one becomes the logarithms it stands for."""
    if any(map(math.isnan, z)) or max(z) == -math.inf:
        raise ValueError("no usable scores")
    if all(map(math.isfinite, z)):
        return z
    top = max(z)
    if top == math.inf:
        weights = [1.0 if v == top else 0.0 for v in z]
    else:
        weights = [math.exp(v - top) for v in z]
    total = math.fsum(weights)
    return [math.log(max(w / total, 1e-12)) for w in weights]
'''
_SOFTMAX = """
def _softmax(z):
    top = max(z)
    weights = [math.exp(v - top) for v in z]
    total = math.fsum(weights)
    return [w / total for w in weights]
"""
_LOG_SOFTMAX = """
def _log_softmax(z):
    top = max(z)
    total = math.log(math.fsum(math.exp(v - top) for v in z))
    return [v - top - total for v in z]
"""
_DOT = """
def _dot(row, z):
    return math.fsum(w * v for w, v in zip(row, z))
"""
_ROWS = '''
def _rows(p):
    """Return probabilities, once they are known to be some."""
    if not all(-1e-3 <= v <= 1.001 for v in p) or abs(math.fsum(p) - 1.0) > 1e-3:
        raise ValueError("class probabilities must lie between 0 and 1 and sum to 1")
    return [min(max(v, 0.0), 1.0) for v in p]
'''
_AGAINST_REST = '''
def _against_rest(z):
    """Return the log odds of each class against the others, clipped like probabilities."""
    top = max(z)
    weights = [math.exp(v - top) for v in z]
    found = []
    for k, weight in enumerate(weights):
        rest = math.fsum(weights[:k] + weights[k + 1:])
        odds = math.log(max(weight, _TINY)) - math.log(max(rest, _TINY))
        found.append(min(max(odds, -_LIMIT), _LIMIT))
    return found


_TINY = 2.2250738585072014e-308
_LIMIT = 34.538776394910684
'''


def parameter(name: str) -> str:
    """Return a name as a Python parameter.

    Raises:
        UsageError: a name that cannot be one.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise UsageError(f"--score {name!r} cannot name a parameter of Python", "--score score")
    if name in ("math", "bisect", "calibrate", "max", "min", "abs", "sum", "all", "any"):
        raise UsageError(f"--score {name!r} would hide something", "--score score")
    return name


def emit_binary(
    pieces: Pieces, title: str, score: str = "score", scale: RawScale | None = None
) -> str:
    """Return a module with `calibrate(score)`, which raises ValueError where `apply` refuses.

    `scale` is that of raw scores.
    """
    name = parameter(score)
    doc = f"Return the calibrated probability of a {title}."
    body = _function("calibrate", pieces, name, doc, scale)
    return _module(title, body)


def emit_rows(
    calibrator: Calibrator, classes: tuple[str, ...], title: str, score: str, *, logits: bool
) -> str:
    """Return a module with `calibrate(scores)`: K scores in, K calibrated probabilities out.

    Raises:
        UsageError: a calibrator of several classes that is not written in Python.
    """
    name, size = parameter(score), len(classes)
    before = ""
    doc = f"Return {size} calibrated probabilities, of classes {', '.join(classes)}."
    head = [
        f"def calibrate({name}):",
        f'    """{_safe(doc)}"""',
        f"    if len({name}) != {size}:",
        f'        raise ValueError("{size} scores are needed")',
    ]
    if isinstance(calibrator, OneVsRest) and not calibrator.normalize:
        parts = [one.pieces(logits=logits) for one in calibrator.calibrators]
        before = _classes(parts)
        calls = ", ".join(f"_class_{k}({name}[{k}])" for k in range(size))
        return _module(title, f"{before}\n\n" + "\n".join([*head, f"    return [{calls}]"]) + "\n")
    z = f"_finite({name})" if logits else f"[math.log(max(v, 1e-12)) for v in _rows({name})]"
    head.append(f"    z = {z}")
    floor = getattr(calibrator, "floor", None)
    if isinstance(calibrator, OneVsRest):
        parts = [one.pieces(logits=True) for one in calibrator.calibrators]
        before = _classes(parts) + "\n\n"
        calls = ", ".join(f"_class_{k}(odds[{k}])" for k in range(size))
        head += [
            f"    odds = _against_rest({_raised(floor)})",
            f"    p = [{calls}]",
            "    best = max(p)",
            "    tied = [k for k, v in enumerate(p) if v == best]",
            "    if len(tied) > 1:",
            f"        p[max(tied, key=lambda k: odds[k])] *= {1.0 + TIE!r}",
            "    total = math.fsum(p)",
            "    return [v / total for v in p] if total > 0.0 else _softmax(z)",
        ]
    elif isinstance(calibrator, Identity):
        head[-1] = f"    return _softmax({z})" if logits else f"    return _rows({name})"
    elif isinstance(calibrator, Temperature):
        head.append(f"    return _softmax([v / {calibrator.temperature!r} for v in z])")
    elif isinstance(calibrator, Vector):
        weights = list(zip(calibrator.w.tolist(), calibrator.c.tolist(), strict=True))
        head += _raise(floor)
        head.append(f"    weights = {weights!r}")
        head.append("    return _softmax([w * v + c for v, (w, c) in zip(z, weights)])")
    elif isinstance(calibrator, StructuredMatrix):
        share = calibrator.share
        head += [
            f"    p = _softmax([v / {calibrator.temperature!r} for v in z])",
            f"    z = [math.log({1.0 - share!r} * v + {share / size!r}) for v in p]",
        ]
        if calibrator.diagonal:
            head.append("    return _softmax([w * v + c for v, (w, c) in zip(z, _WEIGHTS)])")
        else:
            head.append("    return _softmax([_dot(row, z) + row[-1] for row in _WEIGHTS])")
        rows = "".join(f"    {row!r},\n" for row in calibrator.theta.tolist())
        before = f"_WEIGHTS = [\n{rows}]\n\n\n"
    elif isinstance(calibrator, Matrix):
        head += _raise(floor)
        if isinstance(calibrator, Dirichlet):
            head.append("    z = _log_softmax(z)")
        head.append("    return _softmax([_dot(row, z) + row[-1] for row in _WEIGHTS])")
        rows = "".join(f"    {row!r},\n" for row in calibrator.theta.tolist())
        before = f"_WEIGHTS = [\n{rows}]\n\n\n"
    else:
        raise UsageError(
            f"a {calibrator.method} calibrator of several classes cannot be written in Python",
            "use apply",
        )
    return _module(title, before + "\n".join(head) + "\n")


def _raise(floor: float | None) -> list[str]:
    return [] if floor is None else [f"    z = {_raised(floor)}"]


def _raised(floor: float | None) -> str:
    return "z" if floor is None else f"[max(v, {floor!r}) for v in z]"


def _classes(parts: list[Pieces]) -> str:
    functions = [
        _function(f"_class_{k}", one, "score", f"Return class {k}'s probability.")
        for k, one in enumerate(parts)
    ]
    return "\n\n".join(function.rstrip("\n") + "\n" for function in functions)


def _function(name: str, pieces: Pieces, s: str, doc: str, scale: RawScale | None = None) -> str:
    lines = [f"def {name}({s}):", f'    """{_safe(doc)}"""']
    if scale is not None:
        lines.append(f"    {s} = ({s} - {scale.location!r}) / {scale.scale!r}")
    if pieces.logits:
        lines += [f"    if math.isnan({s}):", '        raise ValueError("the score is NaN")']
    else:
        lines += [
            f"    if not 0.0 <= {s} <= 1.0:",
            '        raise ValueError("a probability must lie between 0 and 1")',
        ]
    if len(pieces.pieces) <= _LISTED:
        for start, piece in zip(pieces.starts, pieces.pieces, strict=False):
            lines += [f"    if {s} < {start!r}:", f"        return {_leaf(piece, s, pieces)}"]
        lines.append(f"    return {_leaf(pieces.pieces[-1], s, pieces)}")
        return "\n".join(lines) + "\n"
    prefix = "" if name == "calibrate" else name.upper()
    starts, table = f"{prefix}_STARTS", f"{prefix}_PIECES"
    edges = "".join(f"    {start!r},\n" for start in pieces.starts)
    constants = [piece for piece in pieces.pieces if isinstance(piece, Constant)]
    if len(constants) == len(pieces.pieces):
        values = "".join(f"    {piece.value!r},\n" for piece in constants)
        lines.append(f"    return {prefix}_VALUES[bisect.bisect_right({starts}, {s})]")
        tables = f"{starts} = [\n{edges}]\n{prefix}_VALUES = [\n{values}]\n"
        return f"{tables}\n\n" + "\n".join(lines) + "\n"
    lines.append(f"    base, slope, origin = {table}[bisect.bisect_right({starts}, {s})]")
    curved = any(isinstance(piece, Logistic) for piece in pieces.pieces)
    x = s if curved == pieces.logits else f"_{'logit' if curved else 'expit'}({s})"
    if curved:
        lines.append(f"    z = {x}")
        lines.append("    return _expit(base + slope * (z - origin)) if slope else base")
    else:
        line = f"base + slope * ({x} - origin) if slope else base"
        lines.append(f"    return {line}")
        if pieces.odds != 1.0:
            lines[-1] = f"    p = {line}"
            shifted = f"{pieces.odds!r} * p / (1.0 + {pieces.odds - 1.0!r} * p)"
            lines.append(f"    return {shifted} if slope else base")
    rows = "".join(f"    {_row(piece)},\n" for piece in pieces.pieces)
    return f"{starts} = [\n{edges}]\n{table} = [\n{rows}]\n\n\n" + "\n".join(lines) + "\n"


def _row(piece: Piece) -> tuple[float, float, float]:
    if isinstance(piece, Constant):
        return (piece.value, 0.0, 0.0)
    if isinstance(piece, BetaCurve):
        raise AssertionError("a beta curve has few pieces")
    return (piece.base, piece.slope, piece.origin)


def _leaf(piece: Piece, s: str, pieces: Pieces) -> str:
    if isinstance(piece, Constant):
        return repr(piece.value)
    if isinstance(piece, Linear):
        p = f"_expit({s})" if pieces.logits else s
        if (piece.base, piece.slope, piece.origin) != (0.0, 1.0, 0.0):
            p = f"({piece.base!r} + {piece.slope!r} * ({p} - {piece.origin!r}))"
        if pieces.odds == 1.0:
            return p
        return f"{pieces.odds!r} * {p} / (1.0 + {pieces.odds - 1.0!r} * {p})"
    z = s if pieces.logits else f"_logit({s})"
    if isinstance(piece, BetaCurve):
        return f"_beta({piece.a!r}, {piece.b!r}, {piece.c!r}, {z})"
    at = f"({z} - {piece.origin!r})" if piece.origin else z
    return f"_expit({piece.base!r} + {piece.slope!r} * {at})"


def _safe(text: str) -> str:
    """Return text that cannot end a docstring."""
    return "".join(c for c in text if c.isprintable()).replace("\\", "/").replace('"', "'")


def _module(title: str, body: str) -> str:
    """Return imports and the helpers that the body needs before the body."""
    needs: Any = (
        ("_rows(", _ROWS),
        ("_finite(", _FINITE),
        ("_against_rest(", _AGAINST_REST),
        ("_log_softmax(", _LOG_SOFTMAX),
        ("_dot(", _DOT),
        (" _softmax(", _SOFTMAX),
        ("_beta(", _BETA),
        ("_logit(", _LOGIT),
    )
    helpers = "".join(f"\n{text}" for call, text in needs if call in body)
    if "_expit(" in body or "_beta(" in body:
        helpers += f"\n{_EXPIT}"
    code = helpers + "\n\n" + body
    imports = [f"import {name}\n" for name in ("bisect", "math") if f"{name}." in code]
    return f'"""Calibrated probabilities: {_safe(title)}."""\n\n' + "".join(imports) + code


__all__ = ["emit_binary", "emit_rows", "parameter"]
