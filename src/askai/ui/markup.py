"""Text to harmless HTML: everything from an article, a file name or a question goes through here."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, unquote

# Characters that are invisible, reorder their neighbours or cannot be in an HTML page. Variation
# selectors stay: emoji and rare Han characters need them. Tab and newline stay as they are.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_JOINER = "\u200d"


def _joins(match: re.Match[str]) -> bool:
    """Whether a joiner does its proper work: inside an emoji, or in a script that joins letters."""
    before = match.string[match.start() - 1] if match.start() else ""
    if match.group() not in (_JOINER, "\u200c") or not before:
        return False
    if "\u0600" <= before < "\u1200":
        return True
    emoji = before >= "\U0001f000" or "\u2190" <= before < "\u2c00" or before == "\ufe0f"
    return emoji and match.group() == _JOINER


def _name(character: str) -> str:
    return f"U+{ord(character):04X}"


def escape(text: str) -> str:
    """Text to HTML that shows it literally; an odd character becomes an empty element with its code."""

    def shown(match: re.Match[str]) -> str:
        if _joins(match):
            return match.group()
        code = _name(match.group())
        return f'<span class="odd" role="img" data-code="{code}" aria-label="不可见字符 {code}"></span>'

    return _ODD.sub(shown, html.escape(text))


def plain(text: str) -> str:
    """Text with each odd character written as ⟨U+XXXX⟩: for the clipboard and for toasts."""
    return _ODD.sub(lambda m: m.group() if _joins(m) else f"⟨{_name(m.group())}⟩", text)


def attribute(text: str) -> str:
    """Text to the inside of a double-quoted attribute."""
    return html.escape(plain(text))


def token(text: str) -> str:
    """A value that comes back from the page unchanged (``from_token``): ASCII without markup."""
    return quote(text, safe="", errors="surrogatepass")


def from_token(value: object) -> str:
    """The text behind a token. What is not a string gives the empty text."""
    return unquote(value, errors="surrogatepass") if isinstance(value, str) else ""
