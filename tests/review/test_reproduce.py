"""Two runs give the same bytes, a check finds what moved, a failing notebook changes nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import kapmeta as km
from kapmeta.plot.saving import describe
from kapmeta.review.reproduce import (
    save_figure,
    save_readme_thumbnails,
    save_table,
    save_text,
    witness,
)
from kapmeta.review.reproduce.comparing import built, differences, unlocked
from kapmeta.review.reproduce.running import Failure, update_readme
from tests.helpers.places import ROOT

POOLED = """\
# %% [markdown]
# # Three trials

# %%
import pandas as pd
from kapmeta.review.reproduce import save_table, save_text

trials = pd.read_csv("../data/trials.csv")
print("three trials,")
print("one table")
trials

# %%
mean = (trials.y / trials.v).sum() / (1 / trials.v).sum()
save_text(f"The mean is {mean:.3f}.", "readme-mean.md")
save_table(pd.DataFrame({"model": ["common"], "estimate": [mean]}), "trials-pooled")
"""

DRAWN = """\
# %%
import matplotlib.pyplot as plt
import pandas as pd
import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_table

# %%
figure, ax = plt.subplots()
ax.scatter([1, 2, 3], [3, 1, 2], label="trials", clip_on=True)
ax.legend()
save_figure(figure, "trials-drawn", alt="Three points.")

# %%
save_table(pd.DataFrame({"k": [3]}), "trials-count")

# %% tags=["raises-exception"]
pd.read_csv("nowhere.csv")
"""

README = "# Trials\n\n<!-- generated: mean -->\nas it was\n<!-- end generated -->\n\nMore.\n"


def tree(folder: Path, **notebooks: str) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "trials.csv").write_text("study,y,v\nA,0.51,0.2\nB,0.33,0.1\nC,0.94,0.4\n")
    (folder / "notebooks").mkdir()
    for number, (name, source) in enumerate(notebooks.items(), start=1):
        (folder / "notebooks" / f"{number:02d}-{name}.py").write_text(source)
    (folder / "README.md").write_text(README)
    return folder


def command(root: Path, *options: str) -> tuple[int, list[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-m", "kapmeta.review.reproduce", "--root", root, *options],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_refusal_shown_on_purpose_is_its_message_alone(made: tuple[Path, list[str]]) -> None:
    notebook = json.loads((made[0] / "notebooks" / "02-drawn.ipynb").read_text())
    refused = notebook["cells"][-1]["outputs"][0]
    assert refused["traceback"] == [f"FileNotFoundError: {refused['evalue']}"]


def contents(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in built(root)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Run a tree of two notebooks once; return it with what the run printed."""
    root = tree(tmp_path_factory.mktemp("made") / "trials", pooled=POOLED, drawn=DRAWN)
    code, said = command(root)
    assert code == 0, said
    return root, said


@pytest.fixture
def copy(made: tuple[Path, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def test_a_run_writes_every_file_and_says_where(made):
    root, said = made
    assert built(root) == [
        "README.md",
        "figures/trials-drawn.png",
        "figures/trials-drawn.svg",
        "notebooks/01-pooled.ipynb",
        "notebooks/02-drawn.ipynb",
        "results/readme-mean.md",
        "results/trials-count.csv",
        "results/trials-pooled.csv",
    ]
    assert {line.split(" ...")[0][6:] for line in said[:2]} == {"01-pooled", "02-drawn"}
    assert "  results/    2 tables" in said
    assert "  figures/    1 figure, SVG and PNG" in said
    assert "README.md, line 4: as it was before, The mean is 0.469. now" in said


def test_the_readme_carries_the_number_and_keeps_the_rest(made):
    assert (made[0] / "README.md").read_text() == README.replace("as it was", "The mean is 0.469.")


def test_a_notebook_carries_nothing_of_the_machine_or_the_moment(made):
    notebook = json.loads((made[0] / "notebooks" / "01-pooled.ipynb").read_text())
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-01", "cell-02", "cell-03"]
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python"},
    }
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    stream, table = notebook["cells"][1]["outputs"]
    assert stream["text"] == ["three trials,\n", "one table\n"]
    assert "text/html" in table["data"]
    drawn = json.loads((made[0] / "notebooks" / "02-drawn.ipynb").read_text())
    assert "image/png" in drawn["cells"][1]["outputs"][0]["data"]


def test_two_runs_give_the_same_bytes_and_a_check_agrees(copy):
    before = contents(copy)
    shutil.copy(ROOT / "requirements.lock", copy)
    code, said = command(copy, "--check")
    assert (code, said[-1]) == (0, "remade 8 files, all equal")
    for name in before:
        (copy / name).unlink()
    (copy / "README.md").write_bytes(before["README.md"])
    assert command(copy)[0] == 0
    assert contents(copy) == before


def test_one_digit_in_the_data_names_the_files_that_move_and_changes_none(copy):
    before = contents(copy)
    data = copy / "data" / "trials.csv"
    data.write_text(data.read_text().replace("0.51", "0.52"))
    (copy / "results" / "left-over.csv").write_text("x\n1\n")
    (copy / "figures" / "trials-drawn.svg").unlink()
    code, said = command(copy, "--check")
    assert code == 1
    assert (
        "results/trials-pooled.csv, row 1, column estimate: 0.4685714286 here, 0.4714285714 remade"
        in said
    )
    assert "results/left-over.csv: made by no notebook" in said
    assert "figures/trials-drawn.svg: missing here" in said
    assert not any("trials-count" in line for line in said)
    assert (copy / "results" / "trials-pooled.csv").read_bytes() == before[
        "results/trials-pooled.csv"
    ]


FAILING = {
    "error": ("# %%\n1 / 0", "ZeroDivisionError: division by zero"),
    "warning": ("# %%\nimport warnings\n\nwarnings.warn('look here')", "it printed to stderr"),
    "address": ("# %%\nobject()", "its output names what differs at each run"),
    "path": ("# %%\nimport os\n\nprint(os.getcwd())", "its output names what differs at each run"),
    "twice": (
        (
            "# %%\nfrom kapmeta.review.reproduce import save_text\n\nsave_text('a',"
            " 'one.md')\nsave_text('b', 'one.md')"
        ),
        "results/one.md is written twice",
    ),
}


def test_failing_notebooks_say_where_and_leave_everything_as_it_was(tmp_path):
    sources = {name: f"# %% [markdown]\n# Text\n\n{code}\n" for name, (code, _) in FAILING.items()}
    root = tree(tmp_path / "trials", **sources, fine=POOLED)
    before = contents(root)
    code, said = command(root)
    assert code == 1
    assert contents(root) == before
    text = "\n".join(said)
    for number, (name, (_, problem)) in enumerate(FAILING.items(), start=1):
        head = f"notebooks/{number:02d}-{name}.py failed in cell 2:\n    | "
        assert problem in text[text.index(head) + len(head) :].split("failed in cell")[0]
    assert "Traceback" not in text


def test_tables_that_contradict_themselves_are_said_once(tmp_path):
    root = tree(tmp_path / "trials", pooled=POOLED, drawn=DRAWN)
    shutil.rmtree(root / "data")
    shutil.copytree(ROOT / "data", root / "data")
    studies = root / "data" / "studies.csv"
    studies.write_text(
        studies.read_text() + studies.read_text().splitlines()[-1] + "\n"
    )  # one study twice
    code, said = command(root, "--check")
    assert code == 1
    assert sum("data/ breaks its own description, so nothing was run" in line for line in said) == 1
    assert any("studies.csv, row" in line for line in said)


def test_no_notebooks_is_one_line(tmp_path):
    assert command(tmp_path) == (1, [f"no notebooks in {tmp_path.resolve() / 'notebooks'}"])


def test_a_part_of_the_readme_that_nothing_wrote_is_named(tmp_path):
    (tmp_path / "README.md").write_text(README)
    with pytest.raises(Failure, match="README.md asks for mean, but no notebook wrote"):
        update_readme(tmp_path)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAPMETA_OUTPUT", str(tmp_path))
    return tmp_path


def test_a_table_has_ten_digits_in_columns_of_every_kind(output):
    mixed = pd.Series([1 / 3, "none", 4], dtype=object)
    numbers = [2 / 3, float("nan"), -0.0]
    frame = pd.DataFrame({"study": ["Å", "b", "c"], "x": numbers, "k": [1, 2, 3], "m": mixed})
    assert save_table(frame, "mixed") is frame
    expected = "study,x,k,m\nÅ,0.6666666667,1,0.3333333333\nb,,2,none\nc,0,3,4\n"
    assert (output / "results" / "mixed.csv").read_bytes() == expected.encode()


def test_a_table_keeps_an_index_that_says_something(output):
    save_table(pd.DataFrame({"x": [1]}, index=pd.Index(["A"], name="study")), "indexed")
    assert (output / "results" / "indexed.csv").read_text() == "study,x\nA,1\n"
    save_table(pd.DataFrame({"x": [1, 2, 3]}).iloc[[2]], "kept")
    assert (output / "results" / "kept.csv").read_text() == ",x\n2,3\n"


@pytest.mark.parametrize("name", ["bcg", "smoking"])
def test_statsmodels_agrees_on_the_published_sets(name):
    """With a tolerance below rounding its Paule-Mandel variance was 0: our question was wrong."""
    table = witness.against_statsmodels(km.load_example(name))
    assert set(table["agreement"]) == {"to 9 digits or more"}


def test_a_figure_is_saved_with_its_text_alternative(output):
    save_figure(Figure().subplots(), "drawn", alt="An empty frame.")
    assert "An empty frame." in (output / "figures" / "drawn.svg").read_text()
    assert (output / "figures" / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_thumbnails_carry_a_link_a_caption_and_what_the_plot_is(output):
    axes = [Figure().subplots() for _ in range(3)]
    for ax in axes:
        describe(ax, "Drawn", 'Two studies,\n"A" & B: 1.5 and 2.\nNothing more.')
    save_readme_thumbnails(
        {f"figure-{i}": (f"Kind {i}", ax) for i, ax in enumerate(axes)}, columns=2
    )
    written = (output / "results" / "readme-kinds.md").read_text()
    assert written.count("<tr>") == 2
    assert written.count('alt="Two studies, &quot;A&quot; &amp; B"') == 3
    for i in range(3):
        assert f'<a href="figures/figure-{i}.svg"><img src="figures/figure-{i}.svg"' in written
        assert f"<sub>Kind {i}</sub>" in written


@pytest.mark.parametrize(
    "name", ["../elsewhere.md", "Forest.md", "two words.md", "no-suffix", "a--b.md"]
)
def test_a_name_is_words_joined_by_hyphens(output, name):
    with pytest.raises(ValueError, match="lower-case words joined by hyphens"):
        save_text("x", name)


def test_a_notebook_opened_by_hand_writes_to_the_repository_around_it(tmp_path, monkeypatch):
    monkeypatch.delenv("KAPMETA_OUTPUT", raising=False)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    save_text("first", "note.md")
    save_text("again", "note.md")
    assert (tmp_path / "results" / "note.md").read_text() == "again\n"


def compared(tmp_path: Path, name: str, old: str, new: str, exact: bool) -> list[str]:
    for side, text in (("old", old), ("new", new)):
        (tmp_path / side / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / side / name).write_text(text)
    return list(differences(tmp_path / "old", tmp_path / "new", exact, ("here", "remade")))


@pytest.mark.parametrize(
    ("old", "new", "exactly", "in_numbers"),
    [
        ("a,b\n1,2\n", "a,b\n1,2\n", None, None),
        ("a,b\n1,0.1234567891\n", "a,b\n1,0.1234567892\n", "row 1, column b", None),
        ("a,b\n1,0.12345678\n", "a,b\n1,0.12345679\n", "row 1, column b", "row 1, column b"),
        (
            "a\n1e-300\n",
            "a\n2e-300\n",
            "row 1, column a",
            "row 1, column a",
        ),  # no absolute tolerance
        ("a\ninf\n", "a\ninf\n", None, None),
        ("a\nx\n", "a\ny\n", "row 1, column a", "row 1, column a"),
        ("a\n1\n", "a\n1\n2\n", "row 2, column a: nothing here, 2 remade", "row 2, column a"),
        ("a,b\n1,2\n", "a,c\n1,2\n", "header: b here, c remade", "header"),
        ("", "a\n1\n", "header", "header"),
        ("a\n1\n", "a\n1", "line ends", None),
    ],
)
def test_the_first_cell_that_differs_is_named(tmp_path, old, new, exactly, in_numbers):
    for exact, expected in ((True, exactly), (False, in_numbers)):
        found = compared(tmp_path, "results/a.csv", old, new, exact)
        assert len(found) == (expected is not None)
        assert not found or str(expected) in found[0].removeprefix("results/a.csv")


def test_what_differs_in_a_notebook_or_a_figure_is_named_where_bytes_count(tmp_path):
    def notebook(output: int) -> str:
        return json.dumps({"cells": [{"source": "x"}, {"source": "y", "outputs": [output]}]})

    found = compared(tmp_path, "notebooks/01-a.ipynb", notebook(1), notebook(2), exact=True)
    assert found == ["notebooks/01-a.ipynb, cell 2: other output"]
    assert compared(tmp_path, "notebooks/01-a.ipynb", notebook(1), notebook(2), exact=False) == []
    shutil.rmtree(tmp_path / "old")
    shutil.rmtree(tmp_path / "new")
    found = compared(tmp_path, "figures/a.svg", "<svg/>", "<svg />", exact=True)
    assert found == ["figures/a.svg: other bytes"]


def test_an_environment_that_is_not_the_locked_one_says_how(tmp_path, monkeypatch):
    here = (platform.system(), platform.machine())
    monkeypatch.setattr("kapmeta.review.reproduce.comparing.HOME_PLATFORM", here)
    lock = tmp_path / "requirements.lock"
    pin = f"pandas=={pd.__version__} \\\n    --hash=sha256:0==\n"
    lock.write_text(f"# a==1\n{pin}none==1 ; sys_platform == 'none'\n")
    assert unlocked(lock) is None
    lock.write_text("pandas==0.1 \\\n    --hash=sha256:0\n")
    assert unlocked(lock) == f"pandas {pd.__version__}, locked ==0.1"
    lock.write_text("no-such-package==1.0\n")
    assert unlocked(lock) == "no-such-package not installed, locked ==1.0"
    assert unlocked(tmp_path / "none.lock") == "no none.lock"
    monkeypatch.setattr("kapmeta.review.reproduce.comparing.HOME_PLATFORM", ("Plan 9", "mips"))
    assert "not Plan 9 on mips" in str(unlocked(lock))
