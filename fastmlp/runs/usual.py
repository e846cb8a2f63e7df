"""The usual network and training for anyone's own data, so that nothing but the data need be named.

`bench/own_defaults.py` compares them with others, with gradient boosting and with a linear model, by the test rows of
made and real tables that it names. What keeps such a network from learning the noise of a small table is the decay:
AdamW takes `LR * WEIGHT_DECAY`, two thousandths, off each weight at every step, so that a network remembers about 500
steps. PyTorch's AdamW has a hundredth of that decay.
"""

from typing import TYPE_CHECKING, Any

from fastmlp.data.normalize import AS_THEY_ARE, STANDARD

if TYPE_CHECKING:
    from fastmlp.data import Dataset

HIDDEN = (128, 128)
OWN_OPTIMIZER, LR, WEIGHT_DECAY = "adamw", 0.002, 1.0
OF_OPTIMIZER = ("lr", "weight_decay")  # of which another optimiser has its own
DROPOUT = 0.3
EPOCHS, PATIENCE = 200, 20
SMALLEST_BATCH, LARGEST_BATCH = 32, 1024
_BATCHES_AN_EPOCH = 50


def usual_settings(dataset: "Dataset") -> dict[str, Any]:
    """Return the fields of RunConfig that own data have unless they are given; layers are `HIDDEN` between its ends.

    They are the same for all tasks, but for the loss, which is the first of the target's kind. A batch is a fiftieth of
    the training rows, as a power of 2 from 32 to 1024.
    """
    rows = len(dataset.train_images)
    batch = min(max(1 << (rows // _BATCHES_AN_EPOCH).bit_length(), SMALLEST_BATCH), LARGEST_BATCH)
    return {
        "activation": "relu",
        "optimizer": OWN_OPTIMIZER,
        "lr": LR,
        "weight_decay": WEIGHT_DECAY,
        "dropout": DROPOUT,
        "batch_size": min(batch, rows),
        "epochs": EPOCHS,
        "patience": PATIENCE,
        "stopping": "best",
    }


def usual_normalization(dataset: "Dataset") -> str:
    """Return the normalisation of own rows: none of a table's, whose columns are scaled already."""
    if dataset.of_images:
        return "dataset"
    scaled = dataset.reading is not None and dataset.reading.form == "table"
    return AS_THEY_ARE if scaled else STANDARD
