"""SD_UNet: the segmentation network whose feature maps the examples watch while it learns.

After Yin, Deng, Xu, Zhu, Cheng, "SD-UNet: A Novel Segmentation Framework for CT Images of Lung Infections",
Electronics 2022, 11(1), 130, https://doi.org/10.3390/electronics11010130. The S stands for squeeze-and-attention (a
convolutional branch at half resolution), the D for dense atrous spatial pyramid pooling (DASPP).

Keras lists the layers of a functional model by depth, not in the order of these calls; the numbers of the convolution
layers (1 to 51) follow that list.
"""

from collections.abc import Sequence
from math import gcd

import keras
from keras import KerasTensor, layers

STRIDE = 32  # four halvings in the encoder, a fifth in the bottom's attention branch


def sd_unet(
    input_shape: tuple[int, int, int] = (160, 160, 3),
    classes: int = 3,
    *,
    filters: Sequence[int] = (32, 64, 128, 256, 512),
    neck: int = 256,
) -> keras.Model:
    """Builds SD_UNet: 213 layers, 51 of them convolutions, 21,507,171 parameters at the defaults.

    Every convolution has a bias and no activation of its own; GroupNormalization and LeakyReLU follow as separate
    layers, so a convolution's output is raw. Only the head is activated (softmax). The normalisation uses 32 groups,
    or the largest divisor of 32 that also divides a layer's filters: 16 for 48 filters, 8 for 8, 1 for an odd number.

    Args:
        input_shape: Height, width and channels of an image. Both sides must be multiples of 32.
        classes: Number of classes that the head tells apart.
        filters: Filters of the four encoder levels and of the bottom. The decoder takes the first four in reverse.
        neck: Filters of each DASPP convolution.

    Returns:
        The uncompiled model: images in, class probabilities of the same height and width out.

    Raises:
        ValueError: If a side is not a multiple of 32, or `filters` does not hold five positive numbers.
    """
    _check(input_shape, filters, neck)
    *levels, bottom = filters

    inputs = keras.Input(input_shape, name="image")
    x, skips = inputs, []
    for level, width in enumerate(levels, start=1):
        x = _squeeze_attention(x, width, f"enc{level}_sa")
        skips.append(x)
        x = _down(x, width, f"enc{level}_down")
    x = _squeeze_attention(x, bottom, "bottom_sa")
    x = _daspp(x, neck, "daspp")
    for level, width in reversed(list(enumerate(levels, start=1))):
        x = _up(x, width, f"dec{level}_up")
        x = layers.Concatenate(name=f"dec{level}_skip")([x, skips[level - 1]])
        x = _squeeze_attention(x, width, f"dec{level}_sa")
    outputs = layers.Conv2D(classes, 3, padding="same", activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="sd_unet")


def _conv_block(x: KerasTensor, filters: int, kernel: int, name: str, dilation: int = 1) -> KerasTensor:
    """A raw convolution `{name}`, then `{name}_norm` and `{name}_relu`."""
    x = layers.Conv2D(filters, kernel, padding="same", dilation_rate=dilation, name=name)(x)
    x = layers.GroupNormalization(groups=gcd(filters, 32), name=f"{name}_norm")(x)
    return layers.LeakyReLU(name=f"{name}_relu")(x)


def _squeeze_attention(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Two convolutions at full resolution, weighted by two that see the same at half resolution."""
    trunk, attention = x, layers.AveragePooling2D(2, name=f"{name}_attention_pool")(x)
    for n in (1, 2):
        trunk = _conv_block(trunk, filters, 3, f"{name}_trunk_conv{n}")
        attention = _conv_block(attention, filters, 3, f"{name}_attention_conv{n}")
    attention = layers.UpSampling2D(name=f"{name}_attention_upsample")(attention)
    weighted = layers.Multiply(name=f"{name}_multiply")([trunk, attention])
    return layers.Add(name=f"{name}_add")([weighted, attention])


def _down(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Halves the resolution by both poolings, then mixes them with a 1x1 convolution."""
    highest = layers.MaxPooling2D(2, name=f"{name}_max_pool")(x)
    average = layers.AveragePooling2D(2, name=f"{name}_average_pool")(x)
    both = layers.Concatenate(name=f"{name}_concat")([highest, average])
    return _conv_block(both, filters, 1, f"{name}_conv")


def _up(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Doubles the resolution, then mixes the channels with a 1x1 convolution."""
    x = layers.UpSampling2D(interpolation="bilinear", name=f"{name}_upsample")(x)
    return _conv_block(x, filters, 1, f"{name}_conv")


def _daspp(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Looks at the bottleneck at five scales, each wider dilation also seeing the results of the narrower ones."""
    size = x.shape[1:3]
    pooled = layers.AveragePooling2D(size, name=f"{name}_pool")(x)
    pooled = _conv_block(pooled, filters, 1, f"{name}_pooled")
    pooled = layers.UpSampling2D(size, interpolation="bilinear", name=f"{name}_pooled_upsample")(pooled)
    plain = _conv_block(x, filters, 1, f"{name}_plain")
    rate6 = _conv_block(x, filters, 3, f"{name}_rate6", dilation=6)
    seen = layers.Concatenate(name=f"{name}_concat12")([x, rate6])
    rate12 = _conv_block(seen, filters, 3, f"{name}_rate12", dilation=12)
    seen = layers.Concatenate(name=f"{name}_concat18")([x, seen, rate12])
    rate18 = _conv_block(seen, filters, 3, f"{name}_rate18", dilation=18)
    scales = layers.Concatenate(name=f"{name}_concat")([pooled, plain, rate6, rate12, rate18])
    return _conv_block(scales, filters, 1, f"{name}_fuse")


def _check(input_shape: tuple[int, int, int], filters: Sequence[int], neck: int) -> None:
    for side in input_shape[:2]:
        if side < STRIDE or side % STRIDE:
            lower = max(side // STRIDE * STRIDE, STRIDE)
            nearest = f"{lower} or {lower + STRIDE}" if side > STRIDE else f"{STRIDE}"
            raise ValueError(f"A side of {side} does not work: it must be a multiple of {STRIDE}. Take {nearest}.")
    if len(filters) != 5 or min(*filters, neck) < 1:
        raise ValueError(
            f"filters={tuple(filters)}, neck={neck} does not work: give five positive numbers (four encoder levels and "
            "the bottom), for example (32, 64, 128, 256, 512), and a positive neck."
        )
