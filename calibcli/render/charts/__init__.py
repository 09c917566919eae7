"""Charts as Vega-Lite specifications: plain dicts, pure functions of a result.

One specification serves the page and the static pictures. Names reach a specification only as data
values, spelt out by `names.visible`; no name is ever a field, an expression or a title's markup.
"""
