"""Pages whose figures are made but not drawn, as drawing each three times is most of a page's time.

For tests of what else is on a page, or in its folder; `test_report`, `test_plots` and their like look at drawings.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastmlp.report.plots import picture

_SVG = '<svg width="9pt" height="9pt" viewBox="0 0 9 9"><g><g id="words"></g></g></svg>'


@contextmanager
def undrawn() -> Iterator[None]:
    """Let every figure be the same empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_lay_out", lambda _: None)
        patch.setattr(picture, "_svg", lambda *_, **__: _SVG)
        patch.setattr(picture, "_files", lambda *_: (_SVG, b"none"))
        yield
