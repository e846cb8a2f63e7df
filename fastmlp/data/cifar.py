"""CIFAR-100 and CIFAR-10 as published: files, sizes, checksums.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, Learning Multiple Layers of Features from Tiny
Images, 2009). The archives' MD5 sums are that page's; those of the python files are the ones torchvision lists, the
SHA-1 sums of CIFAR-10's binary files those of MXNet Gluon. No sum is published for the text files of class names,
nor the length of CIFAR-100's python test file.
"""

from fastmlp.data.layout import FileSpec, LabelSpec, Layout

HOST = "https://www.cs.toronto.edu/~kriz"

_CIFAR100_LABELS = (LabelSpec("coarse", "coarse_label", 20), LabelSpec("fine", "fine_label", 100))
_CIFAR10_LABELS = (LabelSpec("fine", "label", 10),)

_CIFAR100_BINARY = Layout(
    dataset="cifar100",
    form="binary",
    folder="cifar-100-binary",
    archive=FileSpec("cifar-100-binary.tar.gz", 168_513_733, "md5:03b5dce01913d631647c71ecec9e9cb8"),
    train=(
        FileSpec("train.bin", 153_700_000, "sha256:f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
    ),
    test=(FileSpec("test.bin", 30_740_000, "sha256:d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),),
    names=(FileSpec("coarse_label_names.txt"), FileSpec("fine_label_names.txt")),
    labels=_CIFAR100_LABELS,
)

_CIFAR100_PYTHON = Layout(
    dataset="cifar100",
    form="python",
    folder="cifar-100-python",
    archive=FileSpec("cifar-100-python.tar.gz", 169_001_437, "md5:eb9058c3a382ffc7106e4002c42a8d85"),
    train=(FileSpec("train", 155_249_918, "md5:16019d7e3df5f24257cddd939b257f8d"),),
    test=(FileSpec("test", None, "md5:f0ef6b0ae62326f3e7ffdfab6717acfc"),),
    names=(FileSpec("meta", None, "md5:7973b15100ade9c7d40fb424638fde48"),),
    labels=_CIFAR100_LABELS,
)

_CIFAR10_BINARY = Layout(
    dataset="cifar10",
    form="binary",
    folder="cifar-10-batches-bin",
    archive=FileSpec("cifar-10-binary.tar.gz", 170_052_171, "md5:c32a1d4ab5d03f1284b67883e8d87530"),
    train=(
        FileSpec("data_batch_1.bin", 30_730_000, "sha1:aadd24acce27caa71bf4b10992e9e7b2d74c2540"),
        FileSpec("data_batch_2.bin", 30_730_000, "sha1:c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"),
        FileSpec("data_batch_3.bin", 30_730_000, "sha1:1dd00a74ab1d17a6e7d73e185b69dbf31242f295"),
        FileSpec("data_batch_4.bin", 30_730_000, "sha1:aab85764eb3584312d3c7f65fd2fd016e36a258e"),
        FileSpec("data_batch_5.bin", 30_730_000, "sha1:26e2849e66a845b7f1e4614ae70f4889ae604628"),
    ),
    test=(FileSpec("test_batch.bin", 30_730_000, "sha1:67eb016db431130d61cd03c7ad570b013799c88c"),),
    names=(FileSpec("batches.meta.txt"),),
    labels=_CIFAR10_LABELS,
)

_CIFAR10_PYTHON = Layout(
    dataset="cifar10",
    form="python",
    folder="cifar-10-batches-py",
    archive=FileSpec("cifar-10-python.tar.gz", 170_498_071, "md5:c58f30108f718f92721af3b95e74349a"),
    train=(
        FileSpec("data_batch_1", 31_035_704, "md5:c99cafc152244af753f735de768cd75f"),
        FileSpec("data_batch_2", 31_035_320, "md5:d4bba439e000b95fd0a9bffe97cbabec"),
        FileSpec("data_batch_3", 31_035_999, "md5:54ebc095f3ab1f0389bbae665268c751"),
        FileSpec("data_batch_4", 31_035_696, "md5:634d18415352ddfa80567beed471001a"),
        FileSpec("data_batch_5", 31_035_623, "md5:482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    test=(FileSpec("test_batch", 31_035_526, "md5:40351d587109b95175f43aff81a1287e"),),
    names=(FileSpec("batches.meta", 158, "md5:5ff9c542aee3614f3951f8cda6e48888"),),
    labels=_CIFAR10_LABELS,
)

LAYOUTS: tuple[Layout, ...] = (_CIFAR100_BINARY, _CIFAR100_PYTHON, _CIFAR10_BINARY, _CIFAR10_PYTHON)
TITLES = {"cifar100": "CIFAR-100", "cifar10": "CIFAR-10"}

REPORT_IMAGE = 7978
"""The training image of CIFAR-100 whose statistics the report prints in its Figure 6."""
