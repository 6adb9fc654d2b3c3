"""Renders docs/protocol.md from page.md, the types, the routes, the refusals and the settings.

From the same types it renders types.d.ts, with which TypeScript's compiler checks the console.
`python -m tools.protocol --write` writes both; `--check` tells whether they are up to date.
"""

from tools.protocol.fields import Field, list_fields
from tools.protocol.page import EXAMPLES, PAGE, render_protocol
from tools.protocol.told import TOLD
from tools.protocol.typescript import TYPES, render_types

__all__ = [
    "EXAMPLES",
    "PAGE",
    "TOLD",
    "TYPES",
    "Field",
    "list_fields",
    "render_protocol",
    "render_types",
]
