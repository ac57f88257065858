import numpy as np
import pets
import pytest
from drawn_pets import BREEDS, COLOURS, POSES, draw_pet
from pets import BACKGROUND, BORDER, PET, contact_sheet, drawn_pets


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return drawn_pets(60, 96, seed=0)


def test_shapes_and_types(drawn):
    images, labels = drawn
    assert images.shape == (60, 96, 96, 3) and images.dtype == np.uint8
    assert labels.shape == (60, 96, 96) and labels.dtype == np.uint8


def test_a_seed_draws_the_same_pets_again():
    for one, other in zip(drawn_pets(3, 64, seed=5), drawn_pets(3, 64, seed=5), strict=True):
        assert np.array_equal(one, other)


def test_a_picture_does_not_depend_on_how_many_are_drawn(drawn):
    images, labels = drawn_pets(3, 96, seed=0)
    assert np.array_equal(images, drawn[0][:3]) and np.array_equal(labels, drawn[1][:3])


def test_seeds_and_pictures_differ(drawn):
    other, _ = drawn_pets(2, 96, seed=1)
    assert not np.array_equal(other, drawn[0][:2])
    assert len({image.tobytes() for image in drawn[0]}) == len(drawn[0])


def test_every_picture_has_all_classes_and_no_other(drawn):
    assert all(np.array_equal(np.unique(labels), (PET, BACKGROUND, BORDER)) for labels in drawn[1])


def test_border_lies_between_pet_and_background(drawn):
    for labels in drawn[1]:
        pet, background = labels == PET, labels == BACKGROUND
        beside = np.zeros_like(pet)
        beside[1:] |= pet[:-1]
        beside[:-1] |= pet[1:]
        beside[:, 1:] |= pet[:, :-1]
        beside[:, :-1] |= pet[:, 1:]
        assert not (beside & background).any()


@pytest.mark.parametrize("size", [64, 96, 160])
def test_border_is_three_percent_of_the_side_wide(size):
    _, labels = drawn_pets(6, size, seed=2)
    for label in labels:
        # Along a row, the band that leads from background to pet is at least as wide as the border, and seldom much wider.
        widths = [
            len(band) for row in label for band in np.split(row, np.flatnonzero(np.diff(row)) + 1) if band[0] == BORDER
        ]
        assert 0.02 * size <= np.median(widths) <= 0.055 * size


def test_every_breed_in_every_pose():
    for i, breed in enumerate(BREEDS):
        for j, pose in enumerate(POSES):
            image, labels = draw_pet(32, np.random.default_rng((7, i, j)), breed=breed, pose=pose)
            assert image.std() > 5, (breed.name, pose)
            assert 0.03 < (labels != BACKGROUND).mean() < 0.95, (breed.name, pose)


def test_breeds_are_those_of_the_photographs():
    assert len(BREEDS) == len({breed.name for breed in BREEDS}) == 37
    assert sum(breed.cat for breed in BREEDS) == 12
    assert {breed.base for breed in BREEDS} | {breed.mark for breed in BREEDS} <= set(COLOURS)


def mean_iou(labels: np.ndarray, answer: np.ndarray) -> float:
    scores = []
    for value in (PET, BACKGROUND, BORDER):
        common = ((labels == value) & (answer == value)).sum()
        scores.append(common / max(((labels == value) | (answer == value)).sum(), 1))
    return float(np.mean(scores))


def test_neither_colour_nor_place_tells_a_pet(drawn):
    images, labels = drawn
    held_images, held_labels = drawn_pets(30, 96, seed=1)

    def colour(images: np.ndarray) -> np.ndarray:
        red, green, blue = np.moveaxis(images.astype(int) // 16, -1, 0)
        return red * 256 + green * 16 + blue

    votes = np.full((4096, 3), (0, 0.5, 0))  # a colour never seen is taken for background
    np.add.at(votes, (colour(images), labels), 1)
    assert mean_iou(held_labels, votes.argmax(1)[colour(held_images)]) < 0.45

    usual = np.stack([(labels == value).mean(0) for value in range(3)]).argmax(0)
    assert mean_iou(held_labels, np.broadcast_to(usual, held_labels.shape)) < 0.45


def test_contact_sheet(drawn):
    sheet = contact_sheet(drawn[0][:10], drawn[1][:10], columns=8, zoom=2)
    assert sheet.shape == (4 * 96 * 2, 8 * 96 * 2, 3)
    assert np.array_equal(sheet[:192:2, :192:2], drawn[0][0])


def test_photographs_without_data_or_network(tmp_path, monkeypatch):
    requests = pytest.importorskip("requests")
    pytest.importorskip("tensorflow_datasets")

    def no_network(*args: object, **kwargs: object) -> None:
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", no_network)
    with pytest.raises(ConnectionError, match=r"--data-dir.*--archives.*--data drawn"):
        pets.oxford_iiit_pet(96, data_dir=tmp_path)


def test_photographs_from_a_folder_without_archives(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no images\.tar\.gz"):
        pets.oxford_iiit_pet(96, archives=tmp_path)
