"""The names of loggers, and the package that each needs; the extra that brings it has the logger's name.

This loads nothing, so that `--help` and a typing error are answered at once.
"""

LOGGERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow-skinny"}
