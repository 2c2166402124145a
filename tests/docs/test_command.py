"""docs/command.md is what the command says of itself."""

from tools.command_page import PAGE, text


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == text(), "run `make sync`"
