"""SD_UNet, all 51 layers: our one pass against a multi-output model built by hand."""

import keras
import numpy as np
from sd_unet import sd_unet

from fm_callback import FeatureMapExtractor, conv_layers

ROLES = {
    1: "enc1_sa_attention_conv1",
    5: "enc1_down_conv",
    12: "enc3_sa_trunk_conv1",
    24: "bottom_sa_trunk_conv2",
    28: "daspp_plain",
    29: "daspp_rate18",
    33: "dec4_sa_trunk_conv1",
    43: "dec2_sa_trunk_conv1",
    50: "dec1_sa_trunk_conv2",
    51: "head",
}


def test_the_maps_of_all_51_layers_equal_those_of_a_multi_output_model():
    keras.utils.set_random_seed(0)
    model = sd_unet((64, 64, 3))
    image = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    ours = FeatureMapExtractor(model)(image)
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    truth = keras.Model(model.inputs, [layer.output for layer in convs])(image, training=False)
    assert list(ours) == [layer.name for layer in convs] and len(ours) == 51
    for (name, values), expected in zip(ours.items(), truth, strict=True):
        expected = keras.ops.convert_to_numpy(expected)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=name)


def test_the_numbers_are_those_of_the_facts():
    layers = conv_layers(sd_unet((160, 160, 3), filters=(32,) * 5, neck=32))
    assert [layer.number for layer in layers] == list(range(1, 52))
    assert {number: layers[number - 1].path for number in ROLES} == ROLES
    assert all(layer.kind == "Conv2D" and layer.bias_shape for layer in layers)
    table = str(layers).splitlines()
    assert len(table) == 53 and table[-1].split()[:2] == ["51", "head"]
    assert len({line.index("Conv2D") for line in table[2:]}) == 1, "columns are aligned"
