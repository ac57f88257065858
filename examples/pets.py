"""The two data sets of the examples: drawn pets, and the Oxford-IIIT Pet photographs through TensorFlow Datasets.

Both are (images, labels): images uint8 (N, size, size, 3), labels uint8 (N, size, size) with 0 pet, 1 background,
2 border. Run as a script, this writes a sheet of drawn pets: `python examples/pets.py sheet.png`.
"""

import logging
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from drawn_pets import BACKGROUND, BORDER, PET, Pixels, contact_sheet, drawn_pets
from quiet import quiet

__all__ = ["BACKGROUND", "BORDER", "CLASSES", "PET", "contact_sheet", "drawn_pets", "oxford_iiit_pet"]

CLASSES = ("pet", "background", "border")  # in the order of the labels
ARCHIVES = ("images.tar.gz", "annotations.tar.gz")

Pairs = tuple[Pixels, Pixels]


def oxford_iiit_pet(
    size: int, *, data_dir: str | os.PathLike[str] | None = None, archives: str | os.PathLike[str] | None = None
) -> tuple[Pairs, Pairs]:
    """Loads photographs of 37 breeds with their trimaps, downloading them (0.8 GB) the first time.

    O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", CVPR 2012. The splits are the official ones:
    3,680 pairs to train, 3,669 to test.

    Args:
        size: Side to resize to: images bilinearly with antialiasing, trimaps to the nearest label.
        data_dir: Where TensorFlow Datasets keeps prepared data; its own default if None.
        archives: A folder with images.tar.gz and annotations.tar.gz, used in place of the download. What they hold, be
            it the whole or a part, is prepared in a folder of its own below `data_dir` (below "data" if None).

    Returns:
        (images, labels) to train and (images, labels) to test.

    Raises:
        FileNotFoundError: If `archives` lacks one of the two.
        ConnectionError: If the data is neither prepared nor within reach.
    """
    if archives is not None:
        archives = Path(archives).resolve()
        data_dir = Path(data_dir or "data") / f"pets-{_fingerprint(archives)}"
    with quiet():
        import tensorflow as tf
        import tensorflow_datasets as tfds

        tf.zeros(())  # the first operation looks for devices, and says so
    tfds.display_progress_bar(sys.stderr.isatty())

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # TFDS warns of every folder that does not exist yet
    try:
        builder = tfds.builder("oxford_iiit_pet", data_dir=data_dir)
        if not builder.is_prepared():
            _prepare(builder, archives)
        train, test = (_arrays(tf, tfds, builder, split, size) for split in ("train", "test"))
    finally:
        logger.setLevel(level)
    return train, test


def _fingerprint(archives: Path) -> str:
    """Tells one pair of archives from another, so that a subset never stands in for the whole, or for another subset."""
    for name in ARCHIVES:
        if not (archives / name).is_file():
            raise FileNotFoundError(f"{archives} holds no {name}. Put both {' and '.join(ARCHIVES)} there.")
    return f"{zlib.crc32(repr([(archives / name).stat().st_size for name in ARCHIVES]).encode()):08x}"


def _prepare(builder: Any, archives: Path | None) -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    if archives is None:
        _check_connection(builder)
        builder.download_and_prepare()
        return
    for url, info in list(builder.url_infos.items()):  # in memory only: a subset has checksums of its own
        builder.url_infos[url] = checksums.compute_url_info(archives / info.filename)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=archives, force_checksums_validation=True)
    )


def _check_connection(builder: Any) -> None:
    """Fails at once where TFDS would retry for minutes."""
    import requests  # as TFDS does, so that proxies and certificates are the same

    url = next(iter(builder.url_infos))
    try:
        requests.get(url, stream=True, timeout=10).close()
    except requests.RequestException as error:
        raise ConnectionError(
            f"oxford_iiit_pet is not prepared in {builder.data_dir}, and {url} can't be reached "
            f"({type(error).__name__}). Connect to the network; or name the folder where TensorFlow Datasets has "
            f"prepared it (--data-dir), or one that holds {' and '.join(ARCHIVES)} (--archives); or train on drawn pets "
            "(--data drawn), which need none of these."
        ) from None


def _arrays(tf: Any, tfds: Any, builder: Any, split: str, size: int) -> Pairs:
    def resize(example: dict[str, Any]) -> tuple[Any, Any]:
        image = tf.image.resize(example["image"], (size, size), antialias=True)
        trimap = tf.image.resize(example["segmentation_mask"], (size, size), method="nearest")
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8), trimap[..., 0] - 1

    count = builder.info.splits[split].num_examples
    images, labels = np.empty((count, size, size, 3), np.uint8), np.empty((count, size, size), np.uint8)
    examples = builder.as_dataset(split=split).map(resize, num_parallel_calls=tf.data.AUTOTUNE)
    for i, (image, label) in enumerate(tfds.as_numpy(examples.prefetch(64))):
        images[i], labels[i] = image, label
        if (i + 1) % 500 == 0 or i + 1 == count:
            print(f"\rReading {split}: {i + 1} of {count} photographs", end="", flush=True)
    print()
    return images, labels


if __name__ == "__main__":
    from PIL import Image

    if len(sys.argv) != 2:
        sys.exit("usage: python examples/pets.py SHEET.png")
    Image.fromarray(contact_sheet(*drawn_pets(32, 96))).save(sys.argv[1])
