"""Signed notes of public logs, and a text with each of its characters changed."""

from __future__ import annotations

from collections.abc import Iterator

REAL_NOTES = {
    "rekor.sigstore.dev": (
        "AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7n"
        "wZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
        "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n"
        "\N{EM DASH} rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+q"
        "EHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n",
    ),
    "pixel6_transparency_log": (
        "AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4NDdGZcX0aiWVdWM5XJVy0M4VWD3AvyW5Q"
        "6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8=",
        "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n"
        "\N{EM DASH} pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHt"
        "oCIGD0cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n",
    ),
}
"""Published by two public logs: name -> (type byte and SPKI of the key in base64, signed note)."""

GO_NOTE = (
    "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n"
    "\N{EM DASH} sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4n"
    "PRYfvimWEPWL+o3GeoWwOoAw=\n"
)
"""A checkpoint of Go's checksum database, whose key is of another kind (Ed25519)."""


def changed_characters(text: str) -> Iterator[str]:
    """Yield the text with every single character replaced, deleted or joined by another."""
    for place, character in enumerate(text):
        before, after = text[:place], text[place + 1 :]
        yield before + after
        replacements = {chr(ord(character) ^ 1), character.swapcase()}
        for other in replacements | set("\n Az09+/=-\t\r\0\N{NO-BREAK SPACE}\N{EM DASH}"):
            if other != character:
                yield before + other + after
            yield before + other + text[place:]
    for other in "\n Az0=":
        yield text + other
