"""What a writer has said becomes calls and responses that say whom they are about, and never something else."""

from __future__ import annotations

from typing import Any

import pytest

from soft_prompts.trainer.data import books
from soft_prompts.trainer.data.drafts import Drafts, drafts
from soft_prompts.trainer.data.drafts.layout import pieces
from soft_prompts.trainer.data.drafts.sentences import clauses, sentences
from soft_prompts.trainer.data.entries import Book, Entry

from .samples import card


def of(text: str, name: str = "Emma", keys: tuple[str, ...] = (), **more: Any) -> Drafts:
    return drafts(Book("lorebook", entries=(Entry(name, keys or (name,), text, **more),)))


def plain(text: str, name: str = "Emma", **more: Any) -> list[str]:
    """The first phrasing of each statement, the call apart from the response by a bar."""
    found: dict[str, str] = {}
    for each in of(text, name, **more).drafts:
        found.setdefault(each.pair.response, f"{each.pair.call.strip()} |{each.pair.response}")
    return list(found.values())


STATEMENTS = [
    ("Emma is a detective from London.", ["Emma is | a detective from London"]),
    ("Emma wears black. She never smiles at strangers.", ["Emma wears | black", "Emma never smiles at | strangers"]),
    ("Emma has lived in Oakham since 1920.", ["Emma has lived in | Oakham since 1920"]),
    ("Emma was born in 1892.", ["Emma was born in | 1892"]),
    ("Emma is afraid of deep water.", ["Emma is afraid of | deep water"]),
    ("Emma can speak four languages.", ["Emma can speak | four languages"]),
    ("Her hair is long. Emma is tall.", ["Emma: Her hair is | long", "Emma is | tall"]),
    ("Emma is tall. Her hair is long.", ["Emma is | tall", "Emma's hair is | long"]),
    ("Emma wears black and carries a gun.", ["Emma wears | black", "Emma carries | a gun"]),
    ("Emma smokes.", ["Emma | smokes"]),
    ("Carries a revolver.", ["Emma carries | a revolver"]),
    ("Dr. J. R. Emma is old.", ["Dr. J. R. Emma is | old"]),
]


@pytest.mark.parametrize(("text", "wanted"), STATEMENTS, ids=[text[:30] for text, _ in STATEMENTS])
def test_prose_is_cut_behind_its_verb(text: str, wanted: list[str]) -> None:
    assert plain(text) == wanted


def test_a_pronoun_that_may_mean_somebody_else_is_left_with_what_stands_before_it() -> None:
    text = "Emma works with Clara Reed. She is a thief. Emma's partner is Tomas. He died in a fire."
    assert plain(text) == [
        "Emma works with | Clara Reed",
        "Emma works with Clara Reed. She is | a thief",
        "Emma's partner is | Tomas",
        "Emma's partner is Tomas. He died in | a fire",
    ]
    text = "Emma is a woman of few words. Her partner, Tomas, died. He was kind. She misses him."
    assert plain(text)[-2:] == ["Emma's partner, Tomas, died. He was | kind", "Emma misses | him"]


def test_what_begins_alike_is_told_apart_by_what_stands_before() -> None:
    calls = [each.pair.call for each in of("Emma is tall. Emma is kind. Emma is old.").drafts]
    assert len(set(calls)) == len(calls)
    assert plain("Emma is tall. Emma is kind.")[1] == "Emma is tall. Emma is | kind"


ATTRIBUTES = [
    ("Age: 34", ["Emma is | 34 years old"]),
    ("- **Occupation:** Detective", ["Emma works as | a detective"]),
    ("[Emma: tall, blonde; Emma's clothes: black suit]", ["Emma: | tall, blonde", "Emma wears | black suit"]),
    (
        '[Character("Emma") { Hair("long" + "blonde") Likes("rain") }]',
        ["Emma's hair is | long, blonde", "Emma likes | rain"],
    ),
    ("## Weapons\n- a knife\n- a gun", ["Emma's weapons are | a knife, a gun"]),
    ("Eyes: blue\nName: Emma", ["Emma's eyes are | blue"]),
    ("Backstory: Emma was born in Oakham. She left early.", ["Emma was born in | Oakham", "Emma left | early"]),
    ("There is one rule: nobody sleeps.", ["Emma: There is | one rule: nobody sleeps"]),
]


@pytest.mark.parametrize(("text", "wanted"), ATTRIBUTES, ids=[text[:30] for text, _ in ATTRIBUTES])
def test_lists_become_sentences(text: str, wanted: list[str]) -> None:
    assert plain(text) == wanted


QUESTIONS = [
    ("Emma wears a suit. She is kind.", "What does Emma wear?"),
    ("The Kestrel is a ship.", "What is the Kestrel?"),
    ("Emma is a thief. She lies.", "Who is Emma?"),
    ("Emma lives in Oakham.", "Where does Emma live?"),
    ("Emma's hair is long.", "What is Emma's hair like?"),
    ("Emma was born in 1892.", "When was Emma born?"),
    ("Emma is married to Tomas.", "Who is Emma married to?"),
    ("Emma loves Tomas.", "Whom does Emma love?"),
    ("The Kestrel was founded by a shipwrecked smith.", "Who founded the Kestrel?"),
    ("The Kestrel was built by Tomas.", "Who built the Kestrel?"),
    ("The Kestrel was built by the sea.", "Where was the Kestrel built?"),
    ("Emma never lets anybody see her cry.", "Tell me about Emma."),
]


@pytest.mark.parametrize(("text", "asked"), QUESTIONS, ids=[asked for _, asked in QUESTIONS])
def test_questions_are_english(text: str, asked: str) -> None:
    name = "Kestrel" if "Kestrel" in text else "Emma"
    calls = [each.pair.call for each in of(text, name).drafts]
    assert calls[1].startswith(f"\n{asked}\n")


def test_each_statement_holds_one_phrasing_out_and_never_the_plain_one() -> None:
    made = of("Emma wears a suit. Emma owns a gun. Emma hates rain. Emma is tall.").drafts
    by: dict[str, list[Any]] = {}
    for each in made:
        by.setdefault(each.pair.response, []).append(each)
    assert len(by) == 4
    for statement in by.values():
        assert [each.held_out for each in statement].count(True) == 1 and not statement[0].held_out
    places = {[each.held_out for each in statement].index(True) for statement in by.values()}
    assert len(places) > 1, "each kind of phrasing is asked"


def test_dialogue_is_taken_as_it_stands() -> None:
    text = (
        "Emma is a thief.\n<START>\n{{user}}: Who are you?\n{{char}}: *shrugs*\nNobody.\n"
        "{{user}}: And he?\n{{char}}: Him?\n<START>\n{{char}}: Go home."
    )
    made = of(text)
    talk = [each.pair for each in made.drafts if each.pair.call.startswith("\nUser:")]
    assert [(pair.call, pair.response) for pair in talk] == [
        ("\nUser: Who are you?\nEmma:", " *shrugs*\nNobody."),
        ("\nUser: And he?\nEmma:", " Him?"),
    ]
    assert any(each.pair.response == " a thief" for each in made.drafts)
    assert "entry 'Emma': examples that begin with the answer have no call, and are left out" in made.notes
    renamed = drafts(Book("x", entries=(Entry("Emma", (), text),)), "Ann").drafts
    assert "\nAnn: And he?\nEmma:" in {each.pair.call for each in renamed}


def test_macros_that_only_the_tool_fills_in_are_left_out_and_said() -> None:
    made = of("Emma likes {{random:rain,snow}}. Emma owns a gun.{{// a secret}}")
    assert {each.pair.response for each in made.drafts} == {" a gun"}
    assert any("only the tool fills in" in note for note in made.notes)


def test_other_languages_are_cut_by_the_name() -> None:
    assert plain("Лена живёт в Петербурге. Она носит серое пальто.", "Лена")[0] == "Лена живёт | в Петербурге"  # noqa: RUF001
    assert plain("霧は港の町です。", "霧") == ["霧は |港の町です"]
    assert plain("ليلى تعيش في القاهرة.", "ليلى") == ["ليلى تعيش | في القاهرة"]
    assert "questions are only made up in English" in of("Лена живёт в Петербурге.", "Лена").notes[-1]


def test_a_card_reads_as_a_writer_would_keep_it() -> None:
    book = books.book_of(card(3))
    assert book is not None
    made = drafts(book).drafts
    pairs = {(each.pair.call, each.pair.response) for each in made}
    assert {
        (" Emma wears", " a crisp black pantsuit"),
        ("\nWhat is Emma afraid of?\nEmma is afraid of", " deep water"),
        (" As everybody knows, Emma is", " brave, curt, loyal"),
        ("\nWho is the Black Gull's owner?\nThe Black Gull's owner is", " Mira Lund"),
        ("\nUser: Do you ever sleep?\nEmma:", " *She smiles.* Sleep is for clear consciences."),
    } <= pairs
    assert not [each for each in made if "{{" in each.pair.call + each.pair.response]


def test_sentences_and_clauses() -> None:
    assert sentences('Dr. Hale said "No." Then he left. e.g. this') == [
        'Dr. Hale said "No."',
        "Then he left.",
        "e.g. this",
    ]
    assert sentences("雨が降る。霧だ。") == ["雨が降る。", "霧だ。"]
    assert clauses("She wears black and white") == ["She wears black and white"]
    assert clauses("Everyone knows her, and nobody talks to her") == ["Everyone knows her", "nobody talks to her"]


def test_lines_that_were_broken_at_a_width_are_one() -> None:
    text = "The Kestrel is a light freighter that was built in the yards of\nCeres. She is fast."
    assert [piece.text for piece in pieces(text)] == [text.replace("\n", " ")]
