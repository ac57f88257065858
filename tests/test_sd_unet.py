import keras
import pytest
from sd_unet import sd_unet


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return sd_unet()


@pytest.fixture(scope="module")
def convs(model: keras.Model) -> list[keras.layers.Conv2D]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_counts(model, convs):
    assert len(model.layers) == 213
    assert len(convs) == 51
    assert model.count_params() == 21_507_171
    assert all(layer.use_bias for layer in convs)


@pytest.mark.parametrize(
    ("number", "name", "channels", "side"),
    [
        (1, "enc1_sa_attention_conv1", 32, 80),
        (2, "enc1_sa_trunk_conv1", 32, 160),
        (3, "enc1_sa_attention_conv2", 32, 80),
        (4, "enc1_sa_trunk_conv2", 32, 160),
        (5, "enc1_down_conv", 32, 80),
        (12, "enc3_sa_trunk_conv1", 128, 40),
        (21, "bottom_sa_attention_conv1", 512, 5),
        (24, "bottom_sa_trunk_conv2", 512, 10),
        (25, "daspp_rate6", 256, 10),
        (26, "daspp_rate12", 256, 10),
        (27, "daspp_pooled", 256, 1),
        (28, "daspp_plain", 256, 10),
        (29, "daspp_rate18", 256, 10),
        (30, "daspp_fuse", 256, 10),
        (31, "dec4_up_conv", 256, 20),
        (33, "dec4_sa_trunk_conv1", 256, 20),
        (43, "dec2_sa_trunk_conv1", 64, 80),
        (50, "dec1_sa_trunk_conv2", 32, 160),
        (51, "head", 3, 160),
    ],
)
def test_numbers_follow_the_table(convs, number, name, channels, side):
    layer = convs[number - 1]
    assert layer.name == name
    assert layer.output.shape == (None, side, side, channels)


def test_convolutions_are_raw_but_the_head(convs):
    assert [layer.name for layer in convs if layer.activation is not keras.activations.linear] == ["head"]


def test_dilations(convs):
    dilated = {layer.name: layer.dilation_rate[0] for layer in convs if layer.dilation_rate != (1, 1)}
    assert dilated == {"daspp_rate6": 6, "daspp_rate12": 12, "daspp_rate18": 18}


def test_a_second_build_has_the_same_names(model):
    assert [layer.name for layer in sd_unet().layers] == [layer.name for layer in model.layers]


def test_slim_variant():
    assert sd_unet((96, 96, 3), filters=(32,) * 5, neck=32).count_params() == 478_435


@pytest.mark.parametrize(("filters", "groups"), [(8, 8), (48, 16), (64, 32), (3, 1)])
def test_groups_divide_the_filters(filters, groups):
    small = sd_unet((32, 32, 3), filters=(filters,) * 5, neck=filters)
    assert {layer.groups for layer in small.layers if isinstance(layer, keras.layers.GroupNormalization)} == {groups}


@pytest.mark.parametrize(("side", "remedy"), [(100, "Take 96 or 128"), (20, "Take 32"), (0, "Take 32")])
def test_a_side_that_is_no_multiple_of_32(side, remedy):
    with pytest.raises(ValueError, match=rf"side of {side} .*{remedy}"):
        sd_unet((96, side, 3))


@pytest.mark.parametrize(("filters", "neck"), [((32, 64), 32), ((32, 32, 32, 32, 0), 32), ((8,) * 5, 0)])
def test_filters_that_do_not_fit(filters, neck):
    with pytest.raises(ValueError, match=r"filters=.* neck=.* five positive numbers"):
        sd_unet((32, 32, 3), filters=filters, neck=neck)
