"""Results (plain dicts) to text, JSON, CSV, Markdown, HTML: strings only, no files, no exit codes.

Import the module of the format that is wanted; importing this package imports nothing, so that a
short command does not pay for charts.
"""
