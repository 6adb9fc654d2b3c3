"""Renders docs/protocol.md from page.md, the types, the routes, the refusals and the settings.

`python -m tools.protocol --write` writes the page; `--check` tells whether it is up to date.
"""

from tools.protocol.fields import Field, list_fields
from tools.protocol.page import EXAMPLES, PAGE, render_protocol
from tools.protocol.told import TOLD

__all__ = ["EXAMPLES", "PAGE", "TOLD", "Field", "list_fields", "render_protocol"]
