import re

from fastmlp.data.cifar import HOST, LAYOUTS, TITLES


def test_each_set_has_both_forms_and_binary_goes_first():
    assert [(one.dataset, one.form) for one in LAYOUTS] == [
        (name, form) for name in TITLES for form in ("binary", "python")
    ]
    assert HOST.startswith("https://")


def test_binary_sizes_are_whole_records():
    for layout in LAYOUTS:
        if layout.form == "binary":
            width = len(layout.labels) + 3072
            counts = [divmod(one.size or 0, width) for one in layout.train + layout.test]
            assert all(rest == 0 for _, rest in counts)
            assert sum(count for count, _ in counts[:-1]) == 50_000
            assert counts[-1] == (10_000, 0)


def test_every_image_file_and_archive_has_a_checksum():
    lengths = {"md5": 32, "sha1": 40, "sha256": 64}
    digests = [one.digest or "" for layout in LAYOUTS for one in (layout.archive, *layout.train, *layout.test)]
    for digest in digests:
        algorithm, value = digest.split(":")
        assert re.fullmatch(f"[0-9a-f]{{{lengths[algorithm]}}}", value)
    assert len(set(digests)) == len(digests)


def test_every_archive_states_its_size():
    assert all(layout.archive.size for layout in LAYOUTS)  # a download needs it
