"""Mutants of a module: its source with one arithmetic, comparison, logical or numeric detail changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
NAMES = {"maximum": "minimum", "minimum": "maximum", "fmax": "fmin", "max": "min", "min": "max"}


class Mutant(NamedTuple):
    """What was changed and where, and the whole source with the change."""

    line: int
    change: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of `source`; texts and types are left alone."""
    tree = ast.parse(source)
    for i, node in enumerate(ast.walk(tree)):
        for field, value in _changes(node):
            other = copy.deepcopy(tree)
            target = next(n for j, n in enumerate(ast.walk(other)) if j == i)
            setattr(target, field, value)
            change = f"{ast.unparse(node)}  ->  {ast.unparse(target)}"
            yield Mutant(getattr(node, "lineno", 0), change, ast.unparse(other))


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Every change of one node: which of its fields becomes what."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS and not _text(node):
        yield "op", OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for new in COMPARISONS.get(type(node.ops[0]), ()):
            yield "ops", [new(), *node.ops[1:]]
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield "attr", NAMES[node.attr]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert | ast.USub):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "value", node.value + 1


def _text(node: ast.BinOp | ast.AugAssign) -> bool:
    """Whether the operator joins texts or types, which are no numbers."""
    texts = (
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and (n.value is None or isinstance(n.value, str)))
        for n in ast.walk(node)
    )
    types = (isinstance(n, ast.Name) and n.id in ("str", "float", "int", "Estimator") for n in ast.walk(node))
    return any(texts) or (isinstance(node.op, ast.BitOr) and any(types))
