"""Fifty models of other people's, small, with random weights: what `models.py` runs.

From Keras's own applications, from packages (keras-hub, medicai, kimm, kyolo, k3im, keras-unet-collection), and, where there
is no package, from ideas of the field in a few lines: GAN, VAE, diffusion, SimCLR, OCR, video.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@dataclass
class Case:
    """A model and what it is run on.

    Attributes:
        model: What is trained.
        x: A batch of two, as `fit` takes it.
        y: Its targets; None for zeros in the structure of the outputs.
        probe: What the callback gets, `x` if None: as much as a submodel takes.
        seen: What the watched model itself is called with, `probe` if None: behind a task's own preprocessing.
        watched: The model that is watched, `model` if None.
        options: Of the callback.
        compile: Of `model.compile`.
    """

    model: keras.Model
    x: Any
    y: Any = None
    probe: Any = None
    seen: Any = None
    watched: keras.Model | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    compile: Mapping[str, Any] = field(default_factory=lambda: {"loss": "mse"})


#: Name -> (where it is from, how to make it).
CASES: dict[str, tuple[str, Callable[[], Case]]] = {}


def case(name: str, source: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Adds what makes a model to `CASES`."""

    def add(make: Callable[[], Case]) -> Callable[[], Case]:
        CASES[name] = (source, make)
        return make

    return add


def data(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures, volumes or signals (N, ..., channels) from 0 to 1: noise on a grid of a quarter of the size, repeated."""
    count, *axes, channels = shape
    values = np.random.default_rng(seed).random((count, *(-(-size // 4) for size in axes), channels), np.float32)
    for axis, size in enumerate(axes, start=1):
        values = values.repeat(4, axis).take(range(size), axis)
    return values


def hub() -> Any:
    """keras-hub's models."""
    import keras_hub

    return keras_hub.models


# ---------------------------------------------------------------------------------------------------- keras.applications


def application(name: str, size: int = 64, **options: Any) -> None:
    """One of Keras's own."""

    @case(name, "keras.applications")
    def make() -> Case:
        model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=4, **options)
        return Case(model, 255 * data(2, size, size, 3))


application("VGG16", 32)
application("ResNet50V2")
application("DenseNet121")
application("MobileNetV3Small", include_preprocessing=True)
application("EfficientNetV2B0", include_preprocessing=True)
application("ConvNeXtTiny")
application("InceptionV3", 75)
application("Xception", 71)


# ---------------------------------------------------------------------------------------------------- keras-hub


def classifier(model: keras.Model, images: np.ndarray, **options: Any) -> Case:
    """A classifier of four kinds, with the loss that is its own."""
    return Case(model, images, np.array([0, 3]), compile={}, **options)


def resnet(size: int | None = 64) -> keras.Model:
    """A small ResNet, for those that are built on one."""
    return hub().ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(size, size, 3),
    )


@case("ViT classifier", "keras-hub")
def _vit() -> Case:
    backbone = hub().ViTBackbone((32, 32, 3), 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
    return classifier(hub().ViTImageClassifier(backbone, num_classes=4), data(2, 32, 32, 3))


@case("DeiT", "keras-hub")
def _deit() -> Case:
    model = hub().DeiTBackbone((32, 32, 3), 8, num_layers=2, num_heads=2, hidden_dim=32, intermediate_dim=64)
    return Case(model, data(2, 32, 32, 3))


@case("Swin", "keras-hub")
def _swin() -> Case:
    model = hub().SwinTransformerBackbone(
        (64, 64, 3), embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4, drop_path=0.0
    )
    return Case(model, data(2, 64, 64, 3))


def mit() -> keras.Model:
    """A small Mix Transformer."""
    return hub().MiTBackbone(
        layerwise_depths=[1, 1, 1, 1],
        num_layers=4,
        layerwise_num_heads=[1, 1, 2, 4],
        layerwise_sr_ratios=[8, 4, 2, 1],
        max_drop_path_rate=0.0,
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        image_shape=(64, 64, 3),
        hidden_dims=[8, 16, 24, 32],
    )


@case("MiT", "keras-hub")
def _mit() -> Case:
    return Case(mit(), data(2, 64, 64, 3))


@case("SegFormer segmenter", "keras-hub")
def _segformer() -> Case:
    backbone = hub().SegFormerBackbone(image_encoder=mit(), projection_filters=32)
    masks = np.zeros((2, 64, 64), np.int32)
    masks[:, 16:48, 16:48] = 1
    return Case(hub().SegFormerImageSegmenter(backbone, num_classes=2), data(2, 64, 64, 3), options={"masks": masks})


@case("DeepLabV3+ segmenter", "keras-hub")
def _deeplab() -> Case:
    backbone = hub().DeepLabV3Backbone(
        image_encoder=resnet(),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=[2, 4, 6],
        image_shape=(64, 64, 3),
    )
    masks = np.zeros((2, 64, 64), np.int32)
    masks[:, 16:48, 16:48] = 1
    return Case(hub().DeepLabV3ImageSegmenter(backbone, num_classes=2), data(2, 64, 64, 3), options={"masks": masks})


@case("BASNet segmenter", "keras-hub")
def _basnet() -> Case:
    backbone = hub().BASNetBackbone(resnet(None), num_classes=1, image_shape=[64, 64, 3])
    return Case(hub().BASNetImageSegmenter(backbone), data(2, 64, 64, 3))


@case("ResNet classifier with preprocessor", "keras-hub")
def _resnet() -> Case:
    hub_ = hub()
    converter = hub_.ResNetImageClassifierPreprocessor.image_converter_cls(image_size=(64, 64), scale=1 / 255)
    preprocessor = hub_.ResNetImageClassifierPreprocessor(converter)
    model = hub_.ResNetImageClassifier(resnet(), num_classes=4, preprocessor=preprocessor)
    images = 255 * data(2, 64, 64, 3)
    return classifier(model, images, seen=images * np.float32(1 / 255))


@case("VGG classifier", "keras-hub")
def _vgg() -> Case:
    backbone = hub().VGGBackbone([1, 1, 2], [8, 16, 32], image_shape=(56, 56, 3))
    return classifier(hub().VGGImageClassifier(backbone, num_classes=4, pooling_hidden_dim=16), data(2, 56, 56, 3))


@case("DenseNet", "keras-hub")
def _densenet() -> Case:
    return Case(hub().DenseNetBackbone([2, 2, 2], image_shape=(64, 64, 3), growth_rate=8), data(2, 64, 64, 3))


@case("EfficientNet", "keras-hub")
def _efficientnet() -> Case:
    model = hub().EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3, 5],
        stackwise_num_repeats=[1, 2, 2],
        stackwise_input_filters=[16, 16, 24],
        stackwise_output_filters=[16, 24, 32],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.25, 0.25],
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=["fused", "unfused", "v1"],
        stackwise_force_input_filters=[0, 0, 0],
        stackwise_nores_option=[False, False, False],
        stackwise_width_coefficients=[1.0] * 3,
        stackwise_depth_coefficients=[1.0] * 3,
        input_shape=(64, 64, 3),
        num_features=64,
        dropout=0.0,
    )
    return Case(model, data(2, 64, 64, 3))


@case("MobileNet", "keras-hub")
def _mobilenet() -> Case:
    model = hub().MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 144]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[16, 16], [24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=16,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=32,
        squeeze_and_excite=0.5,
        image_shape=(64, 64, 3),
    )
    return Case(model, data(2, 64, 64, 3))


@case("CSPDarkNet", "keras-hub")
def _cspdarknet() -> Case:
    model = hub().CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2],
        stackwise_strides=[2, 2],
        stackwise_num_filters=[16, 32],
        block_type="dark_block",
        stage_type="csp",
        bottle_ratio=(0.5, 1.0),
        block_ratio=(1.0, 0.5),
        expand_ratio=(2.0, 1.0),
        stem_padding="same",
        down_growth=True,
        image_shape=(64, 64, 3),
    )
    return Case(model, data(2, 64, 64, 3))


@case("Xception backbone", "keras-hub")
def _xception() -> Case:
    model = hub().XceptionBackbone([[8, 16], [16, 32], [32, 32]], [True, True, False], image_shape=(64, 64, 3))
    return Case(model, data(2, 64, 64, 3))


def hgnet(size: int) -> keras.Model:
    """A small HGNet."""
    return hub().HGNetV2Backbone(
        depths=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[32, 32, 64, 64],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[
            [8, 8, 32, 1, 3, 3],
            [32, 16, 32, 1, 3, 3],
            [32, 16, 64, 1, 3, 5],
            [64, 16, 64, 1, 3, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        image_shape=(size, size, 3),
        out_features=["stage3", "stage4"],
    )


@case("HGNetV2", "keras-hub")
def _hgnet() -> Case:
    return Case(hgnet(64), data(2, 64, 64, 3))


@case("D-FINE detector", "keras-hub")
def _dfine() -> Case:
    backbone = hub().DFineBackbone(
        backbone=hgnet(64),
        decoder_in_channels=[32, 32],
        encoder_hidden_dim=32,
        num_denoising=0,
        num_labels=4,
        hidden_dim=32,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(64, 64),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 64],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=64,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        decoder_n_points=[4, 4],
        lqe_hidden_dim=16,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(64, 64, 3),
    )
    return Case(hub().DFineObjectDetector(backbone, num_classes=4), data(2, 64, 64, 3), boxes(), compile={})


def boxes() -> dict[str, np.ndarray]:
    """One box a picture of 64x64, its corners y and x."""
    return {"boxes": np.full((2, 1, 4), (8.0, 8.0, 40.0, 48.0), np.float32), "labels": np.ones((2, 1), np.float32)}


@case("RetinaNet detector", "keras-hub")
def _retinanet() -> Case:
    backbone = hub().RetinaNetBackbone(resnet(), min_level=3, max_level=5, use_p5=False, image_shape=(64, 64, 3))
    model = hub().RetinaNetObjectDetector(backbone, num_classes=4, pre_logits_num_conv_layers=2)
    return Case(model, data(2, 64, 64, 3), boxes(), compile={})


@case("ViTDet", "keras-hub")
def _vitdet() -> Case:
    return Case(vitdet(), data(2, 64, 64, 3))


def vitdet() -> keras.Model:
    """A small ViTDet."""
    return hub().ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[1],
        image_shape=(64, 64, 3),
        patch_size=8,
        num_output_channels=8,
        window_size=2,
    )


@case("SAM", "keras-hub")
def _sam() -> Case:
    import keras_hub

    prompt = keras_hub.layers.SAMPromptEncoder(
        hidden_size=8, image_embedding_size=(8, 8), input_image_size=(64, 64), mask_in_channels=16
    )
    decoder = keras_hub.layers.SAMMaskDecoder(
        num_layers=2,
        hidden_size=8,
        intermediate_dim=32,
        num_heads=2,
        embedding_dim=8,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=8,
    )
    backbone = hub().SAMBackbone(image_encoder=vitdet(), prompt_encoder=prompt, mask_decoder=decoder)
    task = hub().SAMImageSegmenter(backbone)
    model = keras.Model(task.input, task.output)  # the task itself refuses to be trained
    x = {
        "images": data(2, 64, 64, 3),
        "points": np.full((2, 1, 2), 32, np.float32),
        "labels": np.ones((2, 1), np.float32),
        "boxes": np.full((2, 1, 2, 2), 16, np.float32),
        "masks": data(2, 1, 32, 32, 1),
    }
    return Case(model, x, options={"picture": "images"})


def dino() -> keras.Model:
    """A small DINOv2."""
    return hub().DINOV2Backbone(
        patch_size=8,
        num_layers=4,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        image_shape=(64, 64, 3),
        position_embedding_shape=(64, 64),
    )


@case("DINOv2", "keras-hub")
def _dino() -> Case:
    return Case(dino(), data(2, 64, 64, 3))


@case("Depth Anything", "keras-hub")
def _depth() -> Case:
    model = hub().DepthAnythingBackbone(
        image_encoder=dino(),
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_dims=[8, 8, 16, 16],
        fusion_hidden_dim=16,
        head_hidden_dim=8,
        head_in_index=-1,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
    )
    return Case(model, data(2, 64, 64, 3))


@case("VAE of Stable Diffusion 3", "keras-hub")
def _vae_hub() -> Case:
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    model = VAEBackbone([32, 32], [1, 1], [32, 32], [1, 1], sampler_method="mode")
    return Case(model, data(2, 32, 32, 3))


@case("PARSeq (OCR)", "keras-hub")
def _parseq() -> Case:
    encoder = hub().ViTBackbone(
        (32, 64, 3), (4, 8), num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, use_class_token=False
    )
    model = hub().PARSeqBackbone(
        encoder,
        vocabulary_size=20,
        max_label_length=6,
        decoder_hidden_dim=32,
        num_decoder_layers=1,
        num_decoder_heads=2,
        decoder_mlp_dim=64,
    )
    tokens = np.ones((2, 6), np.int32)
    return Case(model, {"images": data(2, 32, 64, 3), "token_ids": tokens, "padding_mask": tokens})


@case("Whisper", "keras-hub")
def _whisper() -> Case:
    model = hub().WhisperBackbone(
        vocabulary_size=50,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        num_mels=20,
        max_encoder_sequence_length=64,
        max_decoder_sequence_length=16,
    )
    tokens = np.ones((2, 8), np.int32)
    x = {"encoder_features": data(2, 64, 20), "decoder_token_ids": tokens, "decoder_padding_mask": tokens}
    return Case(model, x, options={"picture": "encoder_features"})


# ---------------------------------------------------------------------------------------------------- medicai: volumes


def medical(name: str, encoder: str, side: int = 32, **options: Any) -> None:
    """One of medicai's on volumes, with a cube as the object."""

    @case(f"{name} on volumes", "medicai")
    def make() -> Case:
        import medicai.models

        model = getattr(medicai.models, name)(
            encoder_name=encoder, input_shape=(side, side, side, 1), num_classes=2, **options
        )
        masks = np.zeros((2, side, side, side), np.int32)
        masks[:, side // 4 : side // 2, side // 4 : side // 2, side // 4 : side // 2] = 1
        return Case(model, data(2, side, side, side, 1), options={"masks": masks})


medical("UNet", "resnet18", decoder_filters=(16, 16, 8, 8, 8))
medical("AttentionUNet", "densenet121", decoder_filters=(16, 16, 8, 8, 8))
medical("SegFormer", "mit_b0")


# ---------------------------------------------------------------------------------------------------- kimm, kyolo, k3im


def pictures(name: str, size: int = 64) -> None:
    """One of kimm's."""

    @case(name, "kimm")
    def make() -> Case:
        import kimm.models

        model = getattr(kimm.models, name)(weights=None, input_shape=(size, size, 3), classes=4)
        return Case(model, 255 * data(2, size, size, 3))


pictures("RepVGGA0")
pictures("GhostNetW050")
pictures("MobileViTXXS")


@case("YOLOv8n detector", "kyolo")
def _yolo() -> Case:
    import kyolo

    return Case(kyolo.yolov8n(nc=4, input_shape=(64, 64, 3)), data(2, 64, 64, 3))


@case("ConvMixer of signals", "k3im")
def _convmixer() -> Case:
    from k3im.convmixer_1d import ConvMixer1DModel

    return Case(ConvMixer1DModel(seq_len=64, filters=16, depth=3, num_classes=4), data(2, 64, 3))


@case("CCT of videos", "k3im")
def _cct() -> Case:
    from k3im.cct_3d import CCT3DModel

    model = CCT3DModel(
        input_shape=(16, 32, 32, 3),
        num_heads=2,
        projection_dim=16,
        kernel_size=3,
        stride=2,
        padding=1,
        transformer_units=[16, 16],
        stochastic_depth_rate=0.0,
        transformer_layers=2,
        num_classes=4,
    )
    return Case(model, data(2, 16, 32, 32, 3))


# ---------------------------------------------------------------------------------------------------- keras-unet-collection


def unet(name: str, function: str, *arguments: Any, **options: Any) -> None:
    """One of the collection's."""

    @case(name, "keras-unet-collection")
    def make() -> Case:
        from keras_unet_collection import models

        return Case(getattr(models, function)((64, 64, 3), *arguments, n_labels=2, **options), data(2, 64, 64, 3))


unet("U-Net++", "unet_plus_2d", [8, 16, 24], batch_norm=True)
unet("U²-Net", "u2net_2d", filter_num_down=[8, 16, 16], filter_mid_num_down=[8, 8, 8], filter_4f_num=[16, 16])
unet("R2U-Net", "r2_unet_2d", [8, 16, 24], recur_num=2)


# ---------------------------------------------------------------------------------------------------- ideas of the field


def given(_: Any, output: Any) -> Any:
    """The loss of models that put out their loss."""
    return ops.mean(output)


class Gan(keras.Model):
    """Two networks, each trained against the other."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential(
            [
                keras.Input((16,)),
                layers.Dense(8 * 8 * 16),
                layers.Reshape((8, 8, 16)),
                layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu"),
                layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="sigmoid"),
            ]
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                layers.Conv2D(16, 4, strides=2, padding="same", activation="leaky_relu"),
                layers.Conv2D(16, 4, strides=2, padding="same", activation="leaky_relu"),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )

    def call(self, inputs: Any) -> Any:
        latents, images = inputs
        return ops.softplus(-self.discriminator(images)) + ops.softplus(self.discriminator(self.generator(latents)))


@case("GAN: its generator", "field")
def _generator() -> Case:
    model, latents = Gan(), np.random.default_rng(0).normal(size=(2, 16)).astype("float32")
    return Case(
        model,
        (latents, data(2, 32, 32, 3)),
        probe=latents,
        watched=model.generator,
        options={"submodel": "generator"},
        compile={"loss": given},
    )


@case("GAN: its discriminator", "field")
def _discriminator() -> Case:
    model, latents = Gan(), np.random.default_rng(0).normal(size=(2, 16)).astype("float32")
    images = data(2, 32, 32, 3)
    return Case(
        model,
        (latents, images),
        probe=images,
        watched=model.discriminator,
        options={"submodel": "discriminator"},
        compile={"loss": given},
    )


class Vae(keras.Model):
    """Encoder and decoder, with a draw between them."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)
        self.encoder = keras.Sequential(
            [
                keras.Input((32, 32, 1)),
                layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
                layers.Flatten(),
                layers.Dense(8),
            ]
        )
        self.decoder = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(8 * 8 * 16, activation="relu"),
                layers.Reshape((8, 8, 16)),
                layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
            ]
        )

    def call(self, images: Any) -> Any:
        mean, spread = ops.split(self.encoder(images), 2, axis=-1)
        latents = mean + ops.exp(spread / 2) * keras.random.normal(ops.shape(mean), seed=self.seeds)
        self.add_loss(-0.5 * ops.mean(1 + spread - mean**2 - ops.exp(spread)))
        return self.decoder(latents)


@case("VAE: its decoder", "field")
def _vae() -> Case:
    model, images = Vae(), data(2, 32, 32, 1)
    latents = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    return Case(model, images, images, probe=latents, watched=model.decoder, options={"submodel": "decoder"})


class Diffusion(keras.Model):
    """A network that learns to tell the noise in pictures, given how much there is."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)
        noisy, amount = keras.Input((32, 32, 3), name="noisy"), keras.Input((1, 1, 1), name="amount")
        x = layers.Concatenate()([layers.Conv2D(16, 1)(noisy), layers.UpSampling2D(32)(amount)])
        skips = []
        for width in (16, 24):
            x = layers.Conv2D(width, 3, padding="same", activation="swish")(x)
            skips.append(x)
            x = layers.AveragePooling2D(2)(x)
        for width in (24, 16):
            x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), skips.pop()])
            x = layers.Conv2D(width, 3, padding="same", activation="swish")(x)
        self.network = keras.Model([noisy, amount], layers.Conv2D(3, 1)(x))

    def call(self, images: Any) -> Any:
        noise = keras.random.normal(ops.shape(images), seed=self.seeds)
        amount = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.seeds)
        return (self.network([images + amount * noise, amount]) - noise) ** 2


@case("diffusion (DDIM): its network", "field")
def _diffusion() -> Case:
    model, images = Diffusion(), data(2, 32, 32, 3)
    return Case(
        model,
        images,
        probe=[images, np.full((2, 1, 1, 1), 0.5, np.float32)],
        watched=model.network,
        options={"submodel": "network", "picture": 0},
        compile={"loss": given},
    )


class SimClr(keras.Model):
    """An encoder whose answers to two views of a picture are to be alike, and unlike those to other pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                layers.Conv2D(16, 3, strides=2, activation="relu"),
                layers.Conv2D(24, 3, strides=2, activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(8),
            ]
        )

    def call(self, images: Any) -> Any:
        one, other = (ops.normalize(self.encoder(view), axis=-1) for view in (images, ops.flip(images, 2)))
        alike = ops.matmul(one, ops.transpose(other)) / 0.1
        return ops.logsumexp(alike, axis=-1) - ops.diagonal(alike)


@case("SimCLR: its encoder", "field")
def _simclr() -> Case:
    model, images = SimClr(), data(2, 32, 32, 3)
    return Case(model, images, watched=model.encoder, options={"submodel": "encoder"}, compile={"loss": given})


@case("OCR (CRNN with CTC)", "field")
def _crnn() -> Case:
    inputs = keras.Input((32, 96, 1))
    x = inputs
    for width in (16, 24):
        x = layers.MaxPooling2D()(layers.Conv2D(width, 3, padding="same", activation="relu")(x))
    x = layers.Reshape((24, 8 * 24))(layers.Permute((2, 1, 3))(x))
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x)
    model = keras.Model(inputs, layers.Dense(12)(x))
    return Case(model, data(2, 32, 96, 1), np.full((2, 5), 3, np.int32), compile={"loss": keras.losses.CTC()})


@case("next frame (ConvLSTM)", "field")
def _next_frame() -> Case:
    model = keras.Sequential(
        [
            keras.Input((6, 24, 24, 1)),
            layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True),
            layers.BatchNormalization(),
            layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True),
            layers.Conv3D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    return Case(model, data(2, 6, 24, 24, 1))


@case("CT classification (Conv3D)", "field")
def _ct() -> Case:
    model = keras.Sequential([keras.Input((32, 32, 16, 1))])
    for width in (8, 16, 16):
        model.add(layers.Conv3D(width, 3, padding="same", activation="relu"))
        model.add(layers.MaxPooling3D())
        model.add(layers.BatchNormalization())
    model.add(layers.GlobalAveragePooling3D())
    model.add(layers.Dense(1, activation="sigmoid"))
    return Case(model, data(2, 32, 32, 16, 1))


@case("video classification (CNN and GRU)", "field")
def _video() -> Case:
    model = keras.Sequential(
        [
            keras.Input((5, 32, 32, 3)),
            layers.TimeDistributed(layers.Conv2D(8, 3, strides=2, activation="relu")),
            layers.TimeDistributed(layers.Conv2D(16, 3, strides=2, activation="relu")),
            layers.TimeDistributed(layers.GlobalAveragePooling2D()),
            layers.GRU(8),
            layers.Dense(4),
        ]
    )
    return Case(model, data(2, 5, 32, 32, 3))
