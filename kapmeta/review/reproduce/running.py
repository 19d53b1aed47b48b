"""Every notebook run in a scratch tree, so that two runs give the same bytes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kapmeta.review.evidence import EvidenceError, load_evidence
from kapmeta.review.reproduce.comparing import built
from kapmeta.review.reproduce.saving import OUTPUT

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARALLEL = 2
CELL_SECONDS = 600

MATPLOTLIBRC = """\
figure.dpi: 100
savefig.dpi: figure
font.family: DejaVu Sans
svg.hashsalt: kapmeta
svg.fonttype: path
"""

KERNEL_SETTINGS = {
    # One thread: a sum split over threads depends on how many there are.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "TZ": "UTC",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
OWN_FOLDERS = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
FOREIGN_SETTINGS = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PYTHONSTARTUP", "PYTHONWARNINGS")

# Tables of studies that take hours, which no notebook makes: they are read and stay as they are.
STUDIES = ("policy-performance.csv",)

GENERATED = re.compile(
    r"(<!-- generated: ([a-z0-9-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL
)
UNSTABLE = re.compile(r"\bat 0x[0-9a-f]{4,}|/ipykernel_\d+")


class Failure(Exception):
    """The reason why nothing could be remade, as the block to show."""


def remake(root: Path, scratch: Path) -> list[str]:
    """Run every notebook of `root` in the empty folder `scratch`; return the names of the files."""
    sources = sorted((root / "notebooks").glob("[0-9][0-9]-*.py"))
    if not sources:
        raise Failure(f"no notebooks in {root / 'notebooks'}")
    _require_valid(root / "data")
    for name in ("results", "figures", "notebooks"):
        (scratch / name).mkdir(parents=True)
    if (root / "data").is_dir():
        shutil.copytree(root / "data", scratch / "data")
    for name in STUDIES:
        if (root / "results" / name).is_file():
            shutil.copy(root / "results" / name, scratch / "results")
    os.environ.update(_kernel_environment(scratch))
    asyncio.run(_run_all(sources, scratch))
    if (scratch / "data" / "datapackage.json").is_file():
        _write_page(scratch)
    if (root / "README.md").is_file():
        shutil.copy(root / "README.md", scratch)
        update_readme(scratch)
    return built(scratch)


def _write_page(scratch: Path) -> None:
    """Write the reader's page in a process of its own, with the settings of the notebooks."""
    code = (
        "import sys; from pathlib import Path; from kapmeta.review.evidence import load_evidence; "
        "from kapmeta.review.report import write_page; root = Path(sys.argv[1]); "
        "write_page(load_evidence(root / 'data'), root / 'report', results=root / 'results')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(scratch)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failure(
            f"report/index.html could not be written\n  {done.stderr.strip().splitlines()[-1]}"
        )


def _require_valid(data: Path) -> None:
    """Refuse tables that contradict themselves once, not in every notebook that reads them."""
    if (data / "datapackage.json").is_file():
        try:
            load_evidence(data)
        except EvidenceError as error:
            raise Failure(
                f"data/ breaks its own description, so nothing was run\n{error}"
            ) from None


def _kernel_environment(scratch: Path) -> Mapping[str, str]:
    """Fix the settings under which two runs give the same bytes for every user."""
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)
    (scratch / "matplotlibrc").write_text(MATPLOTLIBRC)
    own = {name: str(scratch / ".jupyter" / name.lower()) for name in OWN_FOLDERS}
    for folder in own.values():
        Path(folder).mkdir(parents=True, mode=0o700)
    return {
        **KERNEL_SETTINGS,
        **own,
        OUTPUT: str(scratch),
        "MATPLOTLIBRC": str(scratch / "matplotlibrc"),
        # The notebooks import the package that runs them, installed or not.
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }


async def _run_all(sources: list[Path], scratch: Path) -> None:
    free, done = asyncio.Semaphore(PARALLEL), iter(range(1, len(sources) + 1))

    async def run(source: Path) -> None:
        async with free:
            start = time.monotonic()
            await _run_notebook(source, scratch)
            seconds = time.monotonic() - start
            print(f"[{next(done)}/{len(sources)}] {source.stem} ... {seconds:.1f} s", flush=True)

    outcomes = await asyncio.gather(*(run(source) for source in sources), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for failure in failures:
        if not isinstance(failure, Failure):
            raise failure
    if failures:
        raise Failure("\n".join(map(str, failures)))


async def _run_notebook(source: Path, scratch: Path) -> None:
    import jupytext
    import nbformat
    import zmq
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from traitlets.config import Config

    notebook = jupytext.read(source, fmt="py:percent")
    _tidy(notebook)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(scratch / "notebooks")}},
        # Others on this machine cannot listen in, and the kernel has nothing to warn of.
        config=Config(
            KernelManager={"transport_encryption": "auto" if zmq.has("curve") else "disabled"}
        ),
    )
    # What the kernel itself says, not a cell: of interest only if it dies.
    log = scratch / f"{source.stem}.log"
    try:
        with log.open("w") as stderr:
            await client.async_execute(stderr=stderr)
    except (CellExecutionError, TimeoutError, RuntimeError) as error:
        last = "".join(f"\n  {line}" for line in log.read_text(errors="replace").splitlines()[-3:])
        raise Failure(_failed_cell(source, notebook, f"{error}{last}")) from None
    _tidy(notebook)
    _require_stable(source, notebook, scratch)
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    (scratch / "notebooks" / f"{source.stem}.ipynb").write_bytes(text.encode())


def _tidy(notebook: NotebookNode) -> None:
    """Fix what depends on the machine or the moment of the run."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "file_extension": ".py"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        for output in cell.get("outputs", []):
            if (
                output.output_type == "error"
            ):  # a refusal shown on purpose: its message, not where it was raised
                output.traceback = [f"{output.ename}: {output.evalue}"]


def _failed_cell(source: Path, notebook: NotebookNode, otherwise: str) -> str:
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return _failure_block(
                    source, number, cell.source, f"{output.ename}: {output.evalue}"
                )
    return f"notebooks/{source.name} failed: {otherwise}"


def _failure_block(source: Path, number: int, code: str, problem: str) -> str:
    indented = "\n".join(f"    | {line}" for line in code.splitlines())
    return f"notebooks/{source.name} failed in cell {number}:\n{indented}\n  {problem}"


def _require_stable(source: Path, notebook: NotebookNode, scratch: Path) -> None:
    """Refuse an output that would differ at the next run or on another machine."""
    places = [str(scratch), sys.prefix, str(source.parents[1])]
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                problem = f"it printed to stderr: {output.text.strip()}"
                raise Failure(_failure_block(source, number, cell.source, problem))
            shown = "\n".join(_output_texts(output))
            unstable = [place for place in places if place in shown] + UNSTABLE.findall(shown)
            if unstable:
                problem = f"its output names what differs at each run or machine: {unstable[0]}"
                raise Failure(_failure_block(source, number, cell.source, problem))


def _output_texts(output: NotebookNode) -> Iterator[str]:
    yield output.get("text", "")
    yield "\n".join(output.get("traceback", []))
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") or kind.endswith("+xml"):
            yield content


def update_readme(root: Path) -> None:
    """Replace each generated part of ``README.md`` by ``results/readme-PART.md``.

    A part is the text between ``<!-- generated: PART -->`` and ``<!-- end generated -->``, each on
    its own line.

    Parameters
    ----------
    root : Path
        The folder of README.md and results/.

    Raises
    ------
    Failure
        If README.md asks for a part that nothing wrote.
    """

    def part(match: re.Match[str]) -> str:
        file = root / "results" / f"readme-{match[2]}.md"
        if not file.is_file():
            raise Failure(
                f"README.md asks for {match[2]}, but no notebook wrote results/{file.name}"
            )
        return f"{match[1]}{file.read_text(encoding='utf-8')}{match[3]}"

    readme = root / "README.md"
    readme.write_bytes(GENERATED.sub(part, readme.read_text(encoding="utf-8")).encode())
