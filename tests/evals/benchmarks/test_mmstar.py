import pytest
from distributed import mmstar, write_parquet
from hypothesis import given
from hypothesis import strategies as st

from catts.errors import BenchmarkError
from catts.evals.benchmarks.mmstar import load_mmstar, split_options

LETTERS = "ABCDEFGH"
FROM_MATHVISTA = (
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at "
    "the end.\nQuestion: What is x?\nChoices:\n(A) 145\n(B) 11 (cm)\n(C) 7"
)


def only(folder, **changed):
    row = mmstar(**changed)
    return load_mmstar(write_parquet(folder / "mmstar.parquet", "mmstar", [row])).items[0]


def test_a_question(tmp_path):
    item = only(tmp_path)
    assert (item.id, item.question) == ("0", "Where is it?")
    assert item.choices == ("On the book.", "Under the cat", "No", "In, out")
    assert (item.answer, item.answer_letter, item.question_type) == ("A", "A", "multiple-choice")
    assert item.groups == {
        "category": "coarse perception", "l2_category": "image scene and topic",
        "source": "MMBench",
    }  # fmt: skip


def test_the_file_of_the_hub_is_found_without_the_split_s_name(tmp_path):
    only(tmp_path)
    assert len(load_mmstar(tmp_path).items) == 1
    with pytest.raises(BenchmarkError, match="called test"):
        load_mmstar(tmp_path, "test")


def test_choices_on_lines_of_their_own():
    assert split_options(FROM_MATHVISTA) == (
        FROM_MATHVISTA.partition("\nChoices")[0],
        ("145", "11 (cm)", "7"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "What is x?",
        "What is x?\nOptions:",
        "What is x?\nOptions: A: 3",
        "What is x?\nOptions: yes, no",
        "What is x?\nOptions: A: , B: 4",
        "What is x?\nOptions: A: 3, C: 4, D: 5",
        "What is x?\nOptions: A: 3, B: 4, D: 5",
        "What is x?\nOptions: A: 3, B: 4, B: 5, C: 6",
        "What is x?\nOptions: A: see, A: too, B: 4",
        "What is x?\nChoices:\n(A) like (B) says\n(B) 4",
        "What is x?\nChoices:\n(A) 3\n(B) as in (A) above",
        "\nOptions: A: 3, B: 4",
        "What is x? Options: A: 3, B: 4",
    ],
)
def test_what_can_be_split_in_no_or_several_ways_stays_whole(tmp_path, text):
    assert split_options(text) is None
    item = only(tmp_path, question=text)
    assert (item.question, item.choices) == (text.strip(), ("A", "B", "C", "D"))


def test_a_split_without_the_gold_option_is_not_trusted(tmp_path):
    text = "What is x?\nOptions: A: 3, B: 4\nor D: 5"
    item = only(tmp_path, question=text, answer="D")
    assert (item.question, item.choices, item.answer_letter) == (text, tuple("ABCD"), "D")


@given(
    st.lists(
        st.text(st.characters(exclude_characters=":()\n\r"), min_size=1).filter(str.strip),
        min_size=2,
        max_size=8,
    )
)
def test_options_come_back_as_they_went_in(options):
    options = [option.strip() for option in options]
    comma = ", ".join(f"{letter}: {text}" for letter, text in zip(LETTERS, options, strict=False))
    lines = "".join(f"\n({letter}) {text}" for letter, text in zip(LETTERS, options, strict=False))
    assert split_options(f"Why?\nOptions: {comma}") == ("Why?", tuple(options))
    assert split_options(f"Why?\nChoices:{lines}") == ("Why?", tuple(options))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"answer": "E"}, "answer: is 'E', which names none of 4 choices"),
        ({"answer": "On the book."}, "answer: is 'ON THE BOOK.', which names none"),
        ({"answer": None}, "answer: is missing"),
        ({"index": None}, "index: is missing"),
        ({"question": None}, "question: is missing"),
        ({"category": None}, "category: is missing"),
        ({"l2_category": ""}, "l2_category: is missing"),
    ],
)
def test_malformed_rows(tmp_path, change, told):
    with pytest.raises(BenchmarkError, match=f"row 1, field {told}"):
        only(tmp_path, **change)
