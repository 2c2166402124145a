"""LaTeX to MathML when the site is built: browsers draw it themselves, without a script or a font of another host.

A block fenced as `math`, or $`...`$ in a line: both are formulas on the usual code hosts, too.
"""

import re

from latex2mathml.converter import convert

_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"\$`([^`]+)`\$")


def rendered(markdown: str) -> str:
    """The page with its formulas as MathML."""
    blocks = _BLOCK.sub(lambda found: f'<div class="formula">{_math(found[1], "block")}</div>', markdown)
    return _LINE.sub(
        lambda found: f"<span>{_math(found[1], 'inline')}</span>", blocks
    )  # a line's first tag must be none of a block


def _math(latex: str, display: str) -> str:
    return convert(" ".join(latex.split()), display=display).replace("\n", "")
