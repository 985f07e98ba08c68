"""The files of this folder as they go over the wire, where a start-up script has at most 10,000 characters."""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path
from string import ascii_letters

_FOLDER = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_COMMENTS_AND_BLANK_LINES = re.compile(r"^ *(?:#(?!!).*)?\n", re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)


@functools.cache
def wire_text(name: str) -> str:
    """Return a file without what only readers need: comments, docstrings, annotations, long names, indentation.

    No file of this folder has a multi-line string that this would change.
    """
    text = (_FOLDER / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        return _INDENT.sub(lambda match: " " * (len(match[0]) // 4), _shortened(text))
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


def _shortened(program: str) -> str:
    """Return a Python program that does the same, in fewer characters."""
    tree = _Bare().visit(ast.parse(program))
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = _own_names(tree)
    free = (name for length in (1, 2) for name in map("".join, product(ascii_letters, repeat=length)))
    unused = (name for name in free if name not in {*names, *own} and not keyword.iskeyword(name))
    short = {name: next(unused) for name, _ in Counter(names).most_common() if name in own}
    return ast.unparse(_Renamed(short, set(names)).visit(tree)).replace("\n\n", "\n").replace("\nimport ", ",")


def _own_names(tree: ast.AST) -> set[str]:
    """Return the names that a program gives to its functions, arguments and variables, and to nothing else.

    Not those that also stand in a string or name an argument of a call: who else knows them cannot be seen.
    """
    own, others = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
        elif isinstance(node, ast.Constant):
            others.add(str(node.value))
        elif isinstance(node, ast.keyword):
            others.add(str(node.arg))
    return own - others


class _Bare(ast.NodeTransformer):
    """Removes docstrings and annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        if isinstance(guard := node.body[-1], ast.If):  # no one imports it on a machine
            node.body[-1:] = guard.body
        return self._without_docstring(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return node.value and ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)

    def _without_docstring(self, node: ast.FunctionDef | ast.Module) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        return self.generic_visit(node)


class _Renamed(ast.NodeTransformer):
    """Renames what a program names itself, and removes what it imports for annotations alone."""

    def __init__(self, short: Mapping[str, str], used: Collection[str]) -> None:
        self.short, self.used = short, used

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.short.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.short.get(node.arg, node.arg)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self.short.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self.short.get(node.name or "", node.name)
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return node if any(alias.name in self.used for alias in node.names) else None
