"""The book's own tool: pairs, executes, checks and builds the chapters.

Run ``python -m helpers.book --help``.
"""
