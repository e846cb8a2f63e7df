"""The section of commands that make the results, and the page, anew."""

from fastmlp.report.page import Section, code, text
from fastmlp.report.paper import Paper
from fastmlp.report.words import machine
from fastmlp.sweep.file import SWEEP_FILE
from fastmlp.sweep.source import about_own, kept_own


def section(paper: Paper) -> Section:
    """Return the section with these commands, and with the machine that the results were made on."""
    sweep = paper.sweep
    run = sweep.best or sweep.runs[0]
    lines, words = ["python -m fastmlp.report ."], "this page anew"
    unknown = about_own(run.dataset)
    if unknown and kept_own(sweep.folder) is None:
        words = f"In this folder: {words}. {unknown}"
        if sweep.dataset is not None:  # the command would be refused: its page has not the data
            words, lines = unknown, ["from fastmlp.report.make import make_report", 'make_report(".", data=dataset)']
    else:
        lines.insert(0, f"python -m fastmlp.reproduce . {run.run_id}")
        words = f"one run with its hash compared, {words}. "
        if (sweep.folder / SWEEP_FILE).exists():  # not of `run_sweep`
            lines.insert(0, f"python -m fastmlp.train --config {SWEEP_FILE} --out again")
            words = f"the whole sweep anew, {words}The data are looked for where they lay, which {SWEEP_FILE} keeps, "
            words += "and "
        else:
            words += "The data are looked for in the cache, and "
        words = f"In this folder: {words}known by their fingerprint; --data-dir names another place."
    commands = "\n".join(lines)
    return Section("Again", [text(words), code(commands), text(f"Made on: {machine(sweep.environment)}.")])
