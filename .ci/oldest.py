"""Print pip's constraints that hold the project's dependencies to the oldest versions that pyproject.toml allows."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["lbfgs"], *extras["sklearn"]]:
    print(requirement.replace(">=", "=="))
