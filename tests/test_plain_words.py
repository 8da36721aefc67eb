"""Docstrings, comments and pages are in plain words: the private dialect that they once had does not come back.

A word may be good English and still be refused: each of these hid a noun that a reader needs ("ours", "what is told").
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "weakmask"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]

# pattern -> the plain words for it; refused in source and pages
DIALECT = {
    r"\b(?:theirs|mine)\b": "the noun that it stands for",
    r"\bwhichever\b": "the choice: 'the shorter of both', 'for any ...'",
    r"\b(?:is|are|was|were|be|been|being) told\b": "what happens: stated, passed, known",
    r"\b(?:told|telling) (?:apart|from|the|when|what|which|whose|how)\b": "distinguished, describing",
    r"\bwithout (?:any )?chance\b": "deterministic",
    r"\bthat (?:is|are) none\b": "the condition: not positive, not a network, invalid",
    r"\bas (?:it|they) came\b": "unchanged",
    r"\bsome(?:body|one) (?:else )?(?:has|had|who)\b": "the person: reader, user, annotator",
    r"\bwhat is (?:told|wanted|found|left|sought|meant|kept|there|here|seen|asked)\b": "the noun: result, rest",
    r"\b(?:voxels?|scans?|labels?|rows?|parts?|fractions?|sizes?|regions?) wanted\b|\bis wanted of\b": "requested",
    r"\b(?:lies|stands|goes|comes) (?:there|here)\b|\bis there already\b": "the place by its name",
}
# refused in source only: pages compare "ours" with a paper's numbers and may ask "What ...?"
DIALECT_OF_SOURCE = DIALECT | {
    r"\bours\b": "weakmask's, or (O)",
    r"\bnobody(?:'s)?\b": "what is not done, known or used",
    r"(?-i:(?:^|[.:;] )What\b)(?![^.]*\?)": "a noun: 'Content of', 'Meaning of', 'The voxels that'",
}
Patterns = dict[re.Pattern[str], str]


def compiled(dialect: dict[str, str]) -> Patterns:
    return {re.compile(pattern, re.IGNORECASE | re.MULTILINE): better for pattern, better in dialect.items()}


SOURCE, PAGE = compiled(DIALECT_OF_SOURCE), compiled(DIALECT)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


ROOMS = sorted({room_of(path) for path in PACKAGE.rglob("*.py")})


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """(first line, text) of every docstring and comment of a module; a sentence is one line of it."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, text


def prose_of(page: Path) -> str:
    """A page without its fenced blocks and inline code; lines keep their numbers."""
    text = page.read_text(encoding="utf-8")
    without_blocks = re.sub(
        r"^```.*?^```", lambda found: "\n" * found[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"`[^`\n]*`", "`code`", without_blocks)


def refused_in(text: str, patterns: Patterns = SOURCE, first_line: int = 1) -> Iterator[tuple[int, str, str]]:
    """(line, words, what to write) of every refused pattern; a line break counts as a space."""
    joined = re.sub(r"(?<=\S)\n(?=[ \t]*\S)", " ", text)
    unwrapped = re.sub(r"[ \t]+", " ", joined)
    for pattern, better in patterns.items():
        for match in pattern.finditer(unwrapped):
            words = unwrapped[max(0, match.start() - 30) : match.end() + 20].replace("\n", " ").strip()
            place = text.find(match[0].strip().split()[0])
            yield first_line + text.count("\n", 0, max(place, 0)), words, better


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_in_plain_words(room: str):
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) == room]
    found = [
        f"{path.relative_to(PROJECT)}:{line}: '{words}'; write {better}"
        for path in paths
        for start, text in texts_of(path)
        for line, words, better in refused_in(text, SOURCE, start)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_a_page_is_in_plain_words(page: Path):
    found = [
        f"{page.name}:{line}: '{words}'; write {better}" for line, words, better in refused_in(prose_of(page), PAGE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no lesion; there are two regions.",
        "What does the score mean? See below.",
        "The network states its reach.",
        "The masks that users bring are named in the report.",
        "It stops where there is no air.",
    ],
)
def test_plain_sentences_pass(sentence: str):
    assert not list(refused_in(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "The numbering is theirs.",
        "A network that is none: the sign of its logits.",
        "needs no training, hence without any\nchance.",
        "Components that a person has told apart.",
        "What the vote reads.",
        "keywords: What a person calls it.",
        "the shorter, whichever that is",
    ],
)
def test_dialect_is_refused(sentence: str):
    assert list(refused_in(sentence))
