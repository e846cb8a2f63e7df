import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from data_forms import python2_pickle
from fastmlp.data.pickles import load_plain
from fastmlp.errors import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 4)


def read(content: bytes):
    return load_plain(np.frombuffer(content, dtype=np.uint8), "train")


def test_reads_what_python_2_wrote():
    batch = read(python2_pickle({"data": IMAGES, "labels": [3, 1], "filenames": ["a.png"]}))
    assert batch["data"].dtype == np.uint8
    assert np.array_equal(batch["data"], IMAGES)
    assert batch["labels"] == [3, 1]
    assert batch["filenames"] == [b"a.png"]


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")  # the old name, which the real files use
def test_the_miniature_is_what_the_standard_unpickler_reads_too():
    batch = pickle.loads(python2_pickle({"data": IMAGES, "labels": [3]}), encoding="bytes")
    assert np.array_equal(batch[b"data"], IMAGES)


def test_reads_column_order_and_protocol_0():
    fortran = python2_pickle({"data": IMAGES}).replace(b"\x89", b"\x88")
    assert np.array_equal(read(fortran)["data"], IMAGES.ravel().reshape((3, 4), order="F"))
    assert read(b"(dp1\nS'label_names'\np2\n(lp3\nS'airplane'\np4\nas.") == {"label_names": [b"airplane"]}


class Gadget:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.system, "touch {}"), (eval, "open({!r}, 'w')"), (exec, "open({!r}, 'w')"), (subprocess.call, ["touch", "{}"])],
    ids=["system", "eval", "exec", "subprocess"],
)
def test_a_gadget_does_not_run(tmp_path, function, argument, protocol):
    mark = str(tmp_path / "ran")
    argument = [part.format(mark) for part in argument] if isinstance(argument, list) else argument.format(mark)
    content = pickle.dumps({"data": Gadget(function, argument)}, protocol)
    with pytest.raises(DataError, match=r"train: it asks for .*Nothing was run"):
        read(content)
    assert not os.path.exists(mark)  # noqa: PTH110 - os is what the gadget uses


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "getattr"), ("numpy", "fromfile"), ("numpy.core.multiarray", "fromfile"), ("_codecs", "encode")],
)
def test_only_three_globals_are_known(module, name):
    with pytest.raises(DataError, match=f"asks for {module}.{name}"):
        read(f"c{module}\n{name}\n.".encode())


def test_an_allowed_name_can_be_called_but_gives_nothing_to_call():
    # numpy.ndarray stands for an inert record here: called with a buffer, it must not build an array over it.
    with pytest.raises(DataError, match="expected a dict"):
        read(b"\x80\x02cnumpy\nndarray\nK\x01\x85R.")


def test_arrays_of_objects_are_refused():
    with pytest.raises(DataError, match=r"dtype b'O8'; only uint8"):
        read(python2_pickle({"data": IMAGES}).replace(b"u1", b"O8"))


def test_a_length_that_does_not_fit_the_shape_is_refused():
    content = python2_pickle({"data": IMAGES}).replace(b"J\x03\x00\x00\x00", b"J\x09\x00\x00\x00")
    with pytest.raises(DataError, match="not of the length it states"):
        read(content)


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x02}(U\x04dataK\x01", b"\x80\x02]K\x01\x85b."])
def test_damage_is_a_data_error(content):
    with pytest.raises(DataError, match="train"):
        read(content)


def test_a_pickle_of_something_else_is_named():
    with pytest.raises(DataError, match="holds a list, expected a dict"):
        read(pickle.dumps([1, 2], 2))


def test_reading_loads_no_module(tmp_path):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    code = (
        "import numpy as np; from fastmlp.data.pickles import load_plain\n"
        "try: load_plain(np.frombuffer(b'ctrap\\nx\\n.', dtype=np.uint8), 'train')\n"
        "except ValueError: print('refused')"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "refused", done.stderr


def test_objects_that_are_numbered_beyond_all_memory_take_none():
    tracemalloc.start()
    try:
        assert read(b"\x80\x02}r\xff\xff\xff\x7f.") == {}  # pickle's own reader would take 32 GB
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_array_that_is_never_built_is_no_array():
    begun = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    assert read(b"\x80\x02}(U\x01a" + begun + b"u.") == {"a": None}


def test_keys_that_are_no_names_are_refused():
    with pytest.raises(DataError, match="keys that are no names"):
        read(b"\x80\x02}(J\x01\x00\x00\x00K\x02u.")
