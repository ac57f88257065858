from pathlib import Path

import numpy as np
import pytest

ARCHIVES = Path(__file__).resolve().parents[3] / "shared" / "data" / "oxford_iiit_pet_subset"

pytestmark = pytest.mark.skipif(
    not ARCHIVES.is_dir(), reason="the subset of Oxford-IIIT Pet is not beside the repository"
)
pytest.importorskip("tensorflow_datasets")


def test_the_genuine_builder_reads_the_archives(tmp_path):
    from pets import oxford_iiit_pet

    train, test = oxford_iiit_pet(64, data_dir=tmp_path, archives=ARCHIVES)
    for (images, labels), count in ((train, 517), (test, 129)):
        assert images.shape == (count, 64, 64, 3) and images.dtype == np.uint8
        assert labels.shape == (count, 64, 64) and labels.dtype == np.uint8
        assert np.array_equal(np.unique(labels), (0, 1, 2))
    assert 0.5 < (train[1] == 1).mean() < 0.7  # background
    assert not (tmp_path / "oxford_iiit_pet").exists()  # a subset must not pose as the whole


def test_prepared_data_is_read_again_in_the_same_order(tmp_path):
    from pets import oxford_iiit_pet

    first, _ = oxford_iiit_pet(32, data_dir=tmp_path, archives=ARCHIVES)
    second, _ = oxford_iiit_pet(32, data_dir=tmp_path, archives=ARCHIVES)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
