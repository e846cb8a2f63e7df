"""The section of the gradient check: backpropagated gradients beside numerical ones."""

from fastmlp.nn.gradients import EPSILON, IMAGES, STEP, run_checks, to_table
from fastmlp.report.page import Section, text
from fastmlp.report.paper import Paper

CHECKED = [64, 16, 12, 5]


def section(paper: Paper) -> Section:
    """Return the section with numerical gradients beside backpropagated ones, of a small network of its own."""
    singles, directions = run_checks(CHECKED, "tanh")
    layers = "-".join(map(str, CHECKED))
    about = f"Network: {layers} tanh, float64, with initial weights of seed 0, on {IMAGES} random images."
    single = f"Numerical: (f(e) - f(-e)) / 2e, e = {EPSILON:g}, of one weight or bias."
    along = f"Numerical: fourth-order difference, step {STEP:g}, along random directions."
    return Section(
        "Gradient check",
        [
            text(f"Numerical against backpropagated gradients of a {layers} tanh network, computed for this page."),
            paper.table("gradients", to_table(singles, "gradient of", [about, single])),
            paper.table("directions", to_table(directions, "random direction in", [about, along])),
        ],
    )
