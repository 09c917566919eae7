"""The style sheet of the report page: one constant, so that its hash can stand in the page's CSP.

Charts are recoloured for a dark screen through the attributes that carry their light colours.
"""

from __future__ import annotations

from typing import Final

from calibcli.render.assets import asset
from calibcli.render.charts.palette import (
    ACCENT,
    AFTER,
    BEFORE,
    DARK,
    GRID,
    INK,
    MUTED,
    PAPER,
    QUIET,
)

_ROLES: Final = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "paper": PAPER,
    "before": BEFORE,
    "after": AFTER,
    "quiet": QUIET,
    "accent": ACCENT,
}

_LAYOUT: Final = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header.page,footer{max-width:1128px;margin:0 auto;padding:0 24px}
header.page{padding-top:40px}
h1{font-size:1.05rem;font-weight:600;color:var(--muted);margin:0 0 14px}
h2{font-size:1.4rem;line-height:1.25;font-weight:650;margin:0 0 6px;letter-spacing:-.01em}
h3{font-size:1.05rem;font-weight:600;margin:30px 0 6px}
p{margin:0 0 10px;max-width:76ch}
section{padding:34px 0 8px;margin-top:34px;border-top:1px solid var(--grid)}
.lead{color:var(--muted)}
.verdict{border-left:5px solid var(--quiet);padding:2px 0 2px 20px;margin:0 0 26px}
.verdict.bad{border-color:var(--bad)}
.verdict.good{border-color:var(--good)}
.verdict.warn{border-color:var(--warn)}
.verdict .headline{font-size:2rem;line-height:1.2;font-weight:700;letter-spacing:-.02em;
margin:0 0 8px}
.first{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,380px);gap:8px 36px;
align-items:start;margin-bottom:6px}
.first svg{max-width:380px}
p.cut{font-weight:600;margin:14px 0 0}
dl.cut{margin:4px 0 10px;font-size:1rem;font-variant-numeric:tabular-nums}
.verdict p{overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(185px,1fr));gap:14px;margin:0;
padding:0;list-style:none}
.tiles+.note{margin-top:12px;max-width:none}
.tiles li{background:var(--panel);border-radius:10px;padding:14px 16px}
.tiles .name{font-size:.84rem;color:var(--muted)}
.tiles .figure{font-size:1.6rem;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.tiles small{display:block;color:var(--muted);font-variant-numeric:tabular-nums}
.warnings{background:var(--panel);border-left:5px solid var(--warn);border-radius:0 10px 10px 0;
padding:12px 20px;margin:22px 0 0}
.warnings ul{margin:4px 0 0;padding-left:18px}
.warnings strong{color:var(--warn)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));
gap:18px 28px;margin:18px 0;align-items:start}
.multiples{grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:14px 20px}
figure{margin:0;min-width:0}
figure .chart{line-height:0}
figure svg{width:100%;height:auto;max-width:460px}
.multiples svg{max-width:240px}
.wide svg{max-width:540px}
svg text{font-family:Arial,Helvetica,"Liberation Sans",sans-serif}
figcaption{font-size:.88rem;color:var(--muted);margin-top:6px;max-width:62ch}
.multiples figcaption{font-size:.8rem;margin-top:2px;line-height:1.45;
font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;margin:14px 0 6px}
.scroll:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--after);
outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
.sorts thead button{font:inherit;color:inherit;background:none;border:0;padding:0;margin:0;
cursor:pointer;white-space:nowrap;text-align:inherit}
.sorts thead button:hover{color:var(--ink);text-decoration:underline}
.sorts thead button:focus-visible,.tools input:focus-visible{outline:2px solid var(--after);
outline-offset:2px}
.sorts thead button::after{content:"\\2195";opacity:.45;padding-left:.3em}
.sorts [aria-sort=ascending] button::after{content:"\\2191";opacity:1}
.sorts [aria-sort=descending] button::after{content:"\\2193";opacity:1}
.tools{display:flex;gap:14px;align-items:baseline;flex-wrap:wrap;margin:14px 0 -6px;
font-size:.88rem;color:var(--muted)}
.tools input{font:inherit;color:var(--ink);background:var(--paper);border:1px solid var(--edge);
border-radius:6px;padding:4px 8px;margin-left:4px;min-width:0;width:16em;max-width:60vw}
caption{text-align:left;font-weight:600;padding:0 0 6px;white-space:nowrap}
th,td{padding:5px 12px 5px 0;text-align:right;vertical-align:baseline;white-space:nowrap;
border-bottom:1px solid var(--grid)}
th:last-child,td:last-child{padding-right:2px}
thead th,thead td{font-weight:500;color:var(--muted);border-bottom:1px solid var(--quiet)}
tbody th{font-weight:500}
th.l,td.l{text-align:left}
th.long,td.long{white-space:normal;overflow-wrap:anywhere;min-width:24ch;max-width:40ch}
thead th.g{text-align:left;border-bottom:0;font-weight:600;color:var(--ink)}
thead td.g{border-bottom:0}
td small,th small{color:var(--muted);font-size:.92em;font-weight:400}
tbody th small{display:block;font-size:.86em;min-width:22ch;max-width:64ch;white-space:normal}
td.good,td.bad,td.warn,th.bad,th.good{font-weight:600}
td.good,th.good{color:var(--good)}td.bad,th.bad{color:var(--bad)}td.warn{color:var(--warn)}
.bold{font-weight:650}
p,li,figcaption{overflow-wrap:anywhere}
.note{font-size:.88rem;color:var(--muted);max-width:90ch}
details{margin:10px 0}
summary{cursor:pointer;color:var(--muted);font-size:.9rem;padding:3px 0}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:3px 18px;margin:14px 0;
font-size:.92rem}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
.key{display:inline-block;width:.75em;height:.75em;border-radius:50%;margin:0 .3em 0 .1em}
.key.before{background:var(--before)}.key.after{background:var(--after)}
footer{color:var(--muted);font-size:.85rem;padding-top:26px;padding-bottom:50px;margin-top:34px}
@media (max-width:560px){
body{font-size:15px}
main,header.page,footer{padding-left:16px;padding-right:16px}
header.page{padding-top:24px}
.verdict{padding-left:14px}
.verdict .headline{font-size:1.6rem}
.first{grid-template-columns:minmax(0,1fr)}
.first svg{max-width:min(340px,100%)}
.tiles{grid-template-columns:1fr 1fr;gap:10px}
.tiles li{padding:11px 12px}
.tiles .figure{font-size:1.3rem}
.multiples{grid-template-columns:1fr 1fr}
td small{display:block}
tbody th small{min-width:16ch}
dl:not(.cut){grid-template-columns:1fr;gap:0}
dl:not(.cut) dd{margin-bottom:8px}
}
@media print{
.tools{display:none}
.sorts thead button::after{content:none}
body{font-size:10.5pt}
main,header.page,footer{max-width:none;padding:0}
section{break-before:auto;margin-top:18px;padding-top:18px}
figure,tr,.tiles li{break-inside:avoid}
h2,h3,caption,.lead{break-after:avoid}
.scroll{overflow:visible}
table{font-size:8pt}
th,td{padding-right:8px}
}
"""

_LIGHT_SIGNALS: Final = {
    "panel": "#f5f6f9",
    "edge": "#7d8696",
    "good": "#0b6e4f",
    "bad": "#b3261e",
    "warn": "#8a5a00",
}
_DARK_SIGNALS: Final = {
    "panel": "#1d222b",
    "edge": "#7a8496",
    "good": "#5fd0a5",
    "bad": "#ff9a8f",
    "warn": "#f0bd5e",
}


def _variables(colors: dict[str, str]) -> str:
    return ";".join(f"--{role}:{color}" for role, color in colors.items())


def _dark() -> str:
    roles = {role: DARK[color] for role, color in _ROLES.items()} | _DARK_SIGNALS
    svg = "".join(
        f'svg [{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in DARK.items()
        for attribute in ("fill", "stroke")
    )
    # Paper is always the light one: a page on paper has no dark mode.
    return f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(roles)}}}{svg}}}"


STYLE: Final = (
    f":root{{{_variables(_ROLES | _LIGHT_SIGNALS)}}}{_LAYOUT}{asset('levers.css')}{_dark()}"
)
