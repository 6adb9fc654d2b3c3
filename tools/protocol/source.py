"""Notes on the members of a class: the text that follows a member in its source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any


@cache
def read_member_notes(kind: Any) -> dict[str, str]:
    """Return member -> its note, for those members that have one."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    members = [one for node in tree.body if isinstance(node, ast.ClassDef) for one in node.body]
    found = {}
    for member, note in pairwise(members):
        if (
            isinstance(member, ast.Assign)
            and isinstance(member.targets[0], ast.Name)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
        ):
            found[member.targets[0].id] = " ".join(str(note.value.value).split())
    return found
