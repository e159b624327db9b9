"""Text to harmless HTML: everything from an article, a file name or a question goes through here."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, unquote

from askai.invisible import ODD, joins


def _name(character: str) -> str:
    return f"U+{ord(character):04X}"


def escape(text: str) -> str:
    """Text to HTML that shows it literally; an odd character becomes an empty element with its code."""

    def shown(match: re.Match[str]) -> str:
        if joins(match):
            return match.group()
        code = _name(match.group())
        return f'<span class="odd" role="img" data-code="{code}" aria-label="不可见字符 {code}"></span>'

    return ODD.sub(shown, html.escape(text))


def plain(text: str) -> str:
    """Text with each odd character written as ⟨U+XXXX⟩: for the clipboard and for toasts."""
    return ODD.sub(lambda m: m.group() if joins(m) else f"⟨{_name(m.group())}⟩", text)


def attribute(text: str) -> str:
    """Text to the inside of a double-quoted attribute."""
    return html.escape(plain(text))


def token(text: str) -> str:
    """A value that comes back from the page unchanged (``from_token``): ASCII without markup."""
    return quote(text, safe="", errors="surrogatepass")


def from_token(value: object) -> str:
    """The text behind a token. What is not a string gives the empty text."""
    return unquote(value, errors="surrogatepass") if isinstance(value, str) else ""
