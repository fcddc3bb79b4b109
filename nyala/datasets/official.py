# SPDX-License-Identifier: Apache-2.0
"""The data sets that are got from their makers' servers: addresses, SHA-256 hashes, sizes, licences; and the way to a file of theirs.

A file is taken from the folder of downloads, else from a mirror, else from its server, and only with the right hash.
Knows nothing of what is in the files. Start at SETS and at fetch.
"""

from __future__ import annotations

from typing import NamedTuple

from nyala.files import published
from nyala.files.published import place_of

MIRROR = "NYALA_DATASETS_MIRROR"  # a folder, or the address of one, with the files under the names they have on their servers
MAX_BYTES = 1 << 30
GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO = "https://www.cs.toronto.edu/~kriz/"
NOT_STATED = "not stated by its makers"


class File(NamedTuple):
    """A file on its server: hash (SHA-256; MD5 where no other is published), size in bytes, and its folder here."""

    origin: str
    digest: str
    size: int
    folder: str = "datasets"

    @property
    def name(self) -> str:
        return self.origin.rpartition("/")[2]


class Set(NamedTuple):
    """A data set: what it is, its licence, its files."""

    about: str
    licence: str
    files: tuple[File, ...]


def _fashion(name: str, digest: str, size: int) -> File:
    return File(GOOGLE + name, digest, size, "datasets/fashion-mnist")


SETS = {
    "digits": Set("1,797 grey images of digits, 8x8, in the package", "CC BY 4.0", ()),
    "mnist": Set(
        "70,000 grey images of digits, 28x28", "CC BY-SA 3.0",
        (File(GOOGLE + "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1", 11_490_434),),
    ),
    "fashion_mnist": Set(
        "70,000 grey images of clothes, 28x28", "MIT",
        (
            _fashion("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            _fashion("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            _fashion("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            _fashion("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
    ),
    "cifar10": Set(
        "60,000 colour images of 10 kinds, 32x32", NOT_STATED,
        (File(TORONTO + "cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", 170_498_071),),
    ),
    "cifar100": Set(
        "60,000 colour images of 100 kinds, 32x32", NOT_STATED,
        (File(TORONTO + "cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7", 169_001_437),),
    ),
    "imdb": Set(
        "50,000 film reviews, good or bad, as numbers of words", NOT_STATED,
        (
            File(GOOGLE + "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f", 17_464_789),
            File(GOOGLE + "imdb_word_index.json", "bfafd718b763782e994055a2d397834f", 1_641_221),
        ),
    ),
    "reuters": Set(
        "11,228 news of 46 topics, as numbers of words", "for research only (Reuters-21578)",
        (
            File(GOOGLE + "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916", 2_110_848),
            File(GOOGLE + "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921", 550_378),
        ),
    ),
    "boston_housing": Set(
        "506 towns and suburbs: 13 numbers and the price of homes", NOT_STATED,
        (File(GOOGLE + "boston_housing.npz", "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5", 57_026),),
    ),
    "california_housing": Set(
        "20,640 districts: 8 numbers and the price of homes", NOT_STATED,
        (File(GOOGLE + "california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f", 743_530),),
    ),
}  # fmt: skip


class DataSetInfo(NamedTuple):
    """One row of info(): num_bytes to download in all, and whether all files are here."""

    about: str
    num_bytes: int
    licence: str
    cached: bool


class Listing(dict[str, DataSetInfo]):
    """Data sets by name; shown as a table."""

    def __repr__(self) -> str:
        rows = [("name", "download", "here", "what it is", "licence")]
        rows += [
            (name, f"{i.num_bytes / 1e6:.1f} MB" if i.num_bytes else "", "yes" if i.cached else "no", i.about, i.licence) for name, i in self.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def info() -> Listing:
    """The data sets by name: what they are, bytes to download, licence, and whether they are on this machine already.

    >>> info()["digits"]
    DataSetInfo(about='1,797 grey images of digits, 8x8, in the package', num_bytes=0, licence='CC BY 4.0', cached=True)
    >>> print(str(info()).splitlines()[0])
    name                download  here  what it is                                                licence
    """
    rows = {}
    for name, entry in SETS.items():
        cached = all(place_of(file.folder, file.name).is_file() for file in entry.files)
        rows[name] = DataSetInfo(entry.about, sum(file.size for file in entry.files), entry.licence, cached)
    return Listing(rows)


def fetch(name: str, index: int = 0, path: str | None = None, extract: bool = False) -> str:
    """The path of a file of a data set, whole and with the right hash; it is got if it is not there yet.

    Args:
        name: the data set.
        index: which of its files.
        path: its name in the folder of data sets, or a path to keep it at; None: the name on the server.
        extract: unpack it and return the folder.
    Raises: DownloadError, which says what to put where, if it does not come.
    """
    file = SETS[name].files[index]
    place = place_of(file.folder, file.name if path is None else path)
    return published.fetch(f"The data set {name!r}", file.origin, place, file.digest, MIRROR, MAX_BYTES, file.size, extract)
