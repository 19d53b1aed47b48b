"""Mutants of a module: one operator, comparison, number or name changed, or one step left out."""

from __future__ import annotations

import ast
import copy
import re
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
    ast.And: ast.Or,
    ast.Or: ast.And,
}
COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
PAIRS = (("maximum", "minimum"), ("max", "min"), ("fmax", "fmin"), ("all", "any"))
NAMES = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


# Words that say which way a result points, and the names of what differs between the arms.
WORD_PAIRS = (
    ("fewer", "more"),
    ("lower", "higher"),
    ("low", "high"),
    ("below", "above"),
    ("least", "most"),
    ("treatment", "control"),
    ("events_t", "events_c"),
    ("n_t", "n_c"),
    ("benefit", "harm"),
    ("NNTB", "NNTH"),
    ("benefit_low", "harm_low"),
    ("benefit_high", "harm_high"),
    ("estimate", "low"),
    ("yes", "no"),
    ("true", "false"),
    ("exclude", "raise"),
)
WORDS = {one: other for pair in WORD_PAIRS for one, other in (pair, pair[::-1])}


class Mutant(NamedTuple):
    """What was changed and where, and the whole source with the change."""

    line: int
    change: str
    source: str


def mutants(source: str, *, words: bool = False) -> Iterator[Mutant]:
    """Make every mutant of `source`; types are left alone, and texts unless `words`."""
    tree = ast.parse(source)
    skipped = _annotations(tree) | _documentation(tree)
    for i, node in enumerate(ast.walk(tree)):
        if node in skipped:
            continue
        for field, value in (*_changes(node), *(_other_words(node) if words else ())):
            other = copy.deepcopy(tree)
            target = next(n for j, n in enumerate(ast.walk(other)) if j == i)
            setattr(target, field, value)
            yield Mutant(
                getattr(node, "lineno", 0),
                f"{_line(node)}  ->  {_line(target)}",
                ast.unparse(other),
            )
        for field, place, step in _steps(node):
            other = copy.deepcopy(tree)
            target = next(n for j, n in enumerate(ast.walk(other)) if j == i)
            getattr(target, field)[place] = ast.Pass()
            yield Mutant(step.lineno, f"{_line(step)}  ->  left out", ast.unparse(other))


def _annotations(tree: ast.AST) -> set[ast.AST]:
    """Find every node of an annotation: none is ever evaluated."""
    roots = (getattr(n, name, None) for n in ast.walk(tree) for name in ("annotation", "returns"))
    return {part for root in roots if isinstance(root, ast.AST) for part in ast.walk(root)}


def _documentation(tree: ast.AST) -> set[ast.AST]:
    """Find every text that stands alone: documentation, and what tables say of themselves."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _other_words(node: ast.AST) -> Iterator[tuple[str, object]]:
    """List the texts that a text becomes when one of its words is exchanged for its opposite."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for word in dict.fromkeys(re.findall(r"\w+", node.value)):
            if word in WORDS:
                yield "value", re.sub(rf"\b{word}\b", WORDS[word], node.value)
    elif isinstance(node, ast.Attribute) and node.attr in WORDS:
        yield "attr", WORDS[node.attr]


def _line(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """List every change of one node: which of its fields becomes what."""
    if (
        isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp)
        and type(node.op) in OPERATORS
        and not _text(node)
    ):
        yield "op", OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for new in COMPARISONS.get(type(op), ()):
                yield "ops", [*node.ops[:i], new(), *node.ops[i + 1 :]]
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield "attr", NAMES[node.attr]
    elif isinstance(node, ast.UnaryOp):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "value", node.value + 1


def _steps(node: ast.AST) -> Iterator[tuple[str, int, ast.stmt]]:
    """Find statements of `node` that change something in place and can be left out, by field."""
    for field in ("body", "orelse"):
        block = getattr(node, field, None)
        for place, step in enumerate(block if isinstance(block, list) else ()):
            call = isinstance(step, ast.Expr) and isinstance(step.value, ast.Call)
            into = isinstance(step, ast.Assign) and any(
                isinstance(n, ast.Subscript) for n in step.targets
            )
            if call or into or isinstance(step, ast.AugAssign):
                yield field, place, step


def _text(node: ast.BinOp | ast.AugAssign | ast.BoolOp) -> bool:
    """Check whether the operator joins texts, which are no numbers."""
    texts = (
        isinstance(n, ast.JoinedStr)
        or (isinstance(n, ast.Constant) and (n.value is None or isinstance(n.value, str)))
        for n in ast.walk(node)
    )
    return any(texts)
