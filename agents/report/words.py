"""What strangers' words may do in a report: nothing but be read.

A trajectory comes from anyone, and so do its names, commands and versions. They are made plain once,
where they enter the report; what then has a meaning in a format (Markdown, CSV, a figure) is escaped
where that format is written.
"""

from __future__ import annotations

import shlex
from itertools import pairwise

from nb201env.output import plain
from nb201env.pictures import words

NOT_RECORDED = "not recorded"
NOT_SHOWN = "not shown (the trajectory names no single nb201 command)"
_LONGEST_IN_FIGURE = 60


def own_command(text: object) -> str:
    """A recorded command, if it is one command of this program; else a remark that says it is not shown.

    Readers copy commands. So only ``nb201`` with plain arguments is shown: no other program, nothing that a
    shell would do besides, and nothing that looks like something else.
    """
    if not text:
        return NOT_RECORDED
    if not isinstance(text, str) or plain(text) != text:
        return NOT_SHOWN
    try:
        parts = shlex.split(text)
    except ValueError:
        return NOT_SHOWN
    return text if parts[:1] == ["nb201"] and shlex.join(parts) == text else NOT_SHOWN


def in_csv(text: str) -> str:
    """Text that no spreadsheet computes: a quote goes before what would begin a formula."""
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@＝＋－＠") else text


def in_figure(text: str) -> str:
    """Text that matplotlib shows as it is, and not all of it if it is long."""
    return words(text, _LONGEST_IN_FIGURE)


def in_latex(text: str) -> str:
    """Text that LaTeX sets as it is, in ASCII and Latin letters; nothing in it is a command.

    A sign that pdflatex lacks is named by its code point: "U+65E5".
    """
    shown = plain(text)
    signs = [_LATEX.get(sign) or _in_latex(sign) for sign in shown]
    for place, (sign, then) in enumerate(pairwise(shown)):
        if sign == then and sign in "-,'":
            signs[place] += "{}"  # two of them would become another sign
    if shown.lstrip()[:1] in ("[", "*"):
        place = shown.index(shown.lstrip()[0])
        signs[place] = f"{{{signs[place]}}}"  # which would belong to the command before
    return "".join(signs)


def _in_latex(sign: str) -> str:
    return sign if sign.isascii() or "À" <= sign <= "ÿ" else rf"\texttt{{U+{ord(sign):04X}}}"


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}", "`": r"{\char96}",
    "×": r"$\times$", "÷": r"$\div$", "±": r"$\pm$", "−": "$-$", "–": r"\textendash{}", "—": r"\textemdash{}",
    "…": r"\ldots{}", "→": r"$\rightarrow$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$",
    "τ": r"$\tau$", "’": r"\textquoteright{}", "‘": r"\textquoteleft{}", "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}", "°": r"$^\circ$", "·": r"$\cdot$",
    "Ð": r"\texttt{U+00D0}", "ð": r"\texttt{U+00F0}", "Þ": r"\texttt{U+00DE}", "þ": r"\texttt{U+00FE}",
}  # fmt: skip
