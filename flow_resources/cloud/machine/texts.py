"""The files of this folder as they go over the wire, where a start-up script has at most 10,000 characters."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

_FOLDER = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_COMMENTS_AND_BLANK_LINES = re.compile(r"^ *(?:#(?!!).*)?\n", re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)


@functools.cache
def wire_text(name: str) -> str:
    """Return a file without what only readers need: comments, docstrings, annotations, blank lines, indentation.

    No file of this folder has a multi-line string that this would change.
    """
    text = (_FOLDER / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        return _INDENT.sub(lambda match: " " * (len(match[0]) // 4), ast.unparse(_Bare().visit(ast.parse(text))))
    return _INDENT.sub("", _COMMENTS_AND_BLANK_LINES.sub("", text)).rstrip()


def filled(name: str, **values: str) -> str:
    """Return a file with its `{{placeholders}}` filled in; what fills one is not looked at for others."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], wire_text(name))


def write_file(path: str, content: str) -> str:
    """Return shell that writes a file: the content byte for byte, and a line end."""
    end = "E"
    while end in content.split("\n"):
        end += "E"
    return f"cat >{path} <<'{end}'\n{content}\n{end}"


class _Bare(ast.NodeTransformer):
    """Removes docstrings and annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if any(alias.name == "annotations" for alias in node.names) else node

    def _without_docstring(self, node: ast.FunctionDef | ast.Module) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        return self.generic_visit(node)
