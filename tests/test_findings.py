"""What stands out in a run: each kind on numbers that show it and on such as do not; sick trainings are in `clinic/`."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest
from reading import steps_of, values_at
from support.logs import RunLog

from fm_callback import FeatureMapCallback, open_log
from fm_callback.cli import main
from fm_callback.format import NUMBERS, Label, LayerStep, PredictionFacts, PredictionStep
from fm_callback.read.finding import SEVERITIES, Finding
from fm_callback.read.findings import KINDS, findings, markdown
from fm_callback.read.unknown import UnknownError

SUMMARIES = (
    *("readout", "readout_control", "effective_rank", "cka_previous", "cat_separation_best"),
    *("checkerboard", "gridding", "border", "coherence", "duplicates", "training_cka", "training_gap"),
)
LAYERS = {"stem": (8, 8, 16), "deep": (4, 4, 16), "head": (8, 8, 4)}
HIGH, BAD = NUMBERS.index("high"), NUMBERS.index("nonfinite")
NAMES = ("background", "cat", "dog")


class Planted(RunLog):
    """A healthy run of steps 0 to 7, of which a test changes the numbers that it is about.

    Attributes:
        numbers_of: float32 (steps, channels, fields) by layer.
        summaries_of: float32 (steps,) by layer and name.
        scores_of: float32 (steps, images, labels, 3).
    """

    def __init__(self, directory, count=8, images=8, fields=(), **overrides):
        rng = np.random.default_rng(0)
        grows = np.linspace(0, 1, count)
        self.numbers_of, self.summaries_of = {}, {}
        for name, (_, _, channels) in LAYERS.items():
            numbers = np.zeros((count, channels, len(NUMBERS) + len(fields)), np.float32)
            numbers[..., :5] = np.array([-1, 2, 0.3, 0.5, 0.4]) * (1 + 0.5 * grows[:, None, None])
            numbers[..., :5] *= rng.uniform(0.8, 1.2, (count, channels, 1))
            self.numbers_of[name] = numbers
            self.summaries_of[name] = {
                "readout": 0.6 + 0.3 * grows,
                "readout_control": 0.6 + 0.1 * grows,
                "effective_rank": np.full(count, channels / 2),
                "cka_previous": np.full(count, 0.9),
                "cat_separation_best": 0.6 + 0.3 * grows,
                "checkerboard": np.full(count, -0.05),
                "gridding": np.full(count, -0.05),
                "border": np.full(count, 0.1),
                "coherence": np.full(count, 0.7),
                "duplicates": np.full(count, 0.1),
                "training_cka": np.full(count, 0.95),
                "training_gap": np.zeros(count),
            }
        self.scores_of = np.zeros((count, images, 3, 3), np.float32)
        self.scores_of[..., 0] = 0.2 + 0.6 * grows[:, None, None]
        self.scores_of[..., 1] = self.scores_of[..., 2] = [0.6, 0.3, 0.1]
        super().__init__(
            directory, LAYERS, fields=fields, summaries=SUMMARIES, images=images, prediction="labels", **overrides
        )

    def prediction_facts(self):
        labels = tuple(Label(name, value, foreground=value == 1) for value, name in enumerate(NAMES))
        return PredictionFacts("labels", labels, None, (0, 1, 2), (16, 8))

    def layer_steps(self, step):
        stored = super().layer_steps(step)
        return [
            LayerStep(
                each.maps,
                self.numbers_of[name][step],
                np.float32([values[step] for values in self.summaries_of[name].values()]),
            )
            for name, each in zip(LAYERS, stored, strict=True)
        ]

    def prediction_step(self, step):
        stored = super().prediction_step(step)
        return PredictionStep(list(stored.maps), self.scores_of[step])

    def scores(self, step):
        return self.scores_of[step]

    def found(self):
        for step in range(len(self.scores_of)):
            self.write(step)
        return open_log(self.directory)[0].findings()


@pytest.fixture
def log(tmp_path):
    return Planted(tmp_path)


def only(found, kind):
    assert [each.kind for each in found] == [kind], [each.text for each in found]
    return found[0]


def test_nothing_is_said_of_a_healthy_run(log):
    assert log.found() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_first_value_that_is_not_finite_is_named(seed, tmp_path):
    rng = np.random.default_rng(seed)
    log = Planted(tmp_path, facts={"step_unit": rng.choice(["epoch", "batch"]).item()})
    step, layer = int(rng.integers(1, 8)), str(rng.choice(list(LAYERS)))
    channel, cells = int(rng.integers(LAYERS[layer][2])), int(rng.integers(1, 60))
    behind = list(LAYERS).index(layer)
    for name in list(LAYERS)[behind:]:
        numbers = log.numbers_of[name][step:]
        where = slice(channel, channel + 1) if name == layer else slice(None)
        if rng.random() < 0.5:  # no finite value is left
            numbers[:, where, :5], numbers[:, where, BAD] = np.nan, 8 * 64
        else:
            numbers[:, where, BAD] = cells
    log.numbers_of["stem"][step - 1, 3, HIGH] = 3e4
    (found,) = [each for each in log.found() if each.kind == "non_finite"]
    assert (found.severity, found.step, found.layer, found.channel) == ("alarm", step, layer, channel)
    assert found.evidence["largest_before"] == 3e4 and found.evidence["layers"] == len(LAYERS) - behind
    assert "NaN or infinite" in found.headline and "float16 ends at 65,504" in found.text
    assert dict(found.link) == {"view": "layer", "layer": layer, "step": step, "channel": channel}


def test_what_comes_behind_values_that_are_not_finite_is_not_judged(log):
    for name in LAYERS:
        log.numbers_of[name][5:, :, :5], log.numbers_of[name][5:, :, BAD] = np.nan, 500
    log.scores_of[5:] = np.nan
    found = only(log.found(), "non_finite")
    assert "All layers became so between two logged steps" in found.text and found.step == 5


def test_values_that_are_finite_again_are_a_warning(log):
    log.numbers_of["deep"][3, 2, BAD] = 7
    found = only(log.found(), "non_finite")
    assert found.severity == "warning" and "Later steps are finite again" in found.text


@pytest.mark.parametrize("other", ["deep", "head"])
def test_values_that_are_finite_for_a_while_are_told_as_that(log, other):
    log.numbers_of["deep"][3, 2, BAD] = 7
    log.numbers_of[other][6:, 1, BAD] = 9
    found = only(log.found(), "non_finite")
    assert (found.severity, found.layer, found.step, found.channel) == ("alarm", "deep", 3, 2)
    assert found.headline.startswith("At step 3 channel 2 of #2 deep (7 of 128 cells)")
    assert "Then steps were finite again, and since step 6" in found.text and "Later steps" not in found.text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, -1e38, -1, 0.5])
@pytest.mark.filterwarnings("error")
def test_numbers_that_no_writer_stores_are_survived_and_not_told(tmp_path, value):
    logs = {name: Planted(tmp_path / name) for name in ("counts", "numbers", "summaries", "scores")}
    logs["counts"].numbers_of["deep"][5:, 2, BAD] = value
    logs["numbers"].numbers_of["deep"][5:] = value
    for summaries in logs["summaries"].summaries_of.values():
        summaries.update({name: np.full(8, value if abs(value) > 1 else 100 * value) for name in summaries})
    logs["scores"].scores_of[5:] = value
    found = {name: log.found() for name, log in logs.items()}
    for each in (each for of_log in found.values() for each in of_log):
        assert not re.search(r"[0-9]{12}|[0-9]{3},[0-9]{3},|nan|-inf|-[0-9]+ of|\(0 of", each.text), each.text
        json.dumps(each.as_json(), allow_nan=False)
    if not 0 < value < 1:
        assert found["summaries"] == []
    told = [(each.kind, each.evidence["cells"]) for each in found["counts"]]
    assert told == ([("non_finite", 1 if value == 0.5 else 128)] if value > 0 else [])


def test_classes_that_no_writer_stores_are_survived(tmp_path):
    log = Classes(tmp_path)
    log.scores_of = np.full((8, 8, 2), np.inf, np.float32)
    assert log.found() == []


def test_layers_are_told_in_the_order_in_which_they_run(tmp_path):
    class Inside(keras.layers.Layer):
        """A convolution that the model's own list of layers does not have, so that its number is the last."""

        def __init__(self):
            super().__init__(name="inside")
            self.conv = keras.layers.Conv2D(4, 3, padding="same", name="conv")

        def call(self, x):
            return self.conv(x)

    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1, name="head")(Inside()(inputs)))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = model.get_layer("inside").conv.kernel
            kernel.assign(kernel * np.nan)

    model.fit(x, np.zeros((4, 8, 8, 2)), verbose=0, callbacks=[Breaks(), FeatureMapCallback(x, tmp_path, layers="all")])
    run = open_log(tmp_path)[0]
    assert [layer.facts.number for layer in run.layers] == [1, 2] and run.layers[0].name == "head"
    (found,) = [each for each in run.findings() if each.kind == "non_finite"]
    assert found.layer == run.layers[1].name


def test_channels_that_died_and_not_those_that_were_dead(log):
    log.numbers_of["stem"][:, :4] = 0
    log.numbers_of["deep"][4:, 5:9] = 0
    found = only(log.found(), "dead_channels")
    assert (found.layer, found.channel, found.step, found.evidence["died"]) == ("deep", 5, 4, 4)


def test_a_dead_layer(log):
    log.numbers_of["deep"][3:] = 0
    found = only(log.found(), "dead_layer")
    assert (found.severity, found.layer, found.step) == ("alarm", "deep", 3)
    assert "is zero everywhere" in found.headline and "alive at step 0" in found.text


def test_a_dead_layer_of_which_one_channel_shows_something(tmp_path, monkeypatch):
    monkeypatch.setitem(LAYERS, "deep", (4, 4, 24))
    log = Planted(tmp_path)
    log.numbers_of["deep"][3:, 1:] = 0
    found = only(log.found(), "dead_layer")
    assert "is zero everywhere: 23 of 24 logged channels" in found.headline


def test_what_is_nowhere_over_0_is_dead_behind_a_relu_of_its_own(tmp_path):
    log = Planted(tmp_path, fields=("activation_zeros",))
    log.numbers_of["deep"][3:, :9, -1] = 1
    found = log.found()
    assert [each.kind for each in found] == ["dead_channels"]
    assert "show one value everywhere behind the ReLU that follows it, which were alive at step 0" in found[0].text


@pytest.mark.parametrize("count", [2, 20])
def test_what_a_relu_leaves_is_counted_wherever_it_stands(tmp_path, count):
    keras.backend.clear_session()
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.Conv2D(4, 3, name="bare")(inputs))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, name="normed")(x)))
    x = layers.Activation("relu")(layers.Conv2D(4, 1, name="named")(x))
    x = layers.LeakyReLU()(layers.Conv2D(4, 1, name="leaky")(x))
    x = keras.Sequential([layers.Conv2D(4, 1, name="inside"), layers.Dropout(0.5)], name="block")(x)
    x = layers.Activation("relu6")(layers.GroupNormalization(2)(x))
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="relu", name="head")(x))
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).normal(size=(count, 8, 8, 1)).astype("float32")
    watched = FeatureMapCallback(data, tmp_path, layers="all", channels=[0, 3, 1])
    model.fit(data, np.zeros((count, 4, 4, 1)), verbose=0, callbacks=[watched])
    (run,) = open_log(tmp_path).values()
    behind = {"bare": "re_lu", "normed": "re_lu_1", "named": "activation", "block/inside": "activation_1"}
    for layer in run.layers:
        assert ("activation_zeros" in layer.facts.fields) is (layer.facts.path in behind), layer.name
        if name := behind.get(layer.facts.path):
            given = keras.Model(inputs, model.get_layer(name).output).predict(data, verbose=0)[..., [0, 3, 1]]
            np.testing.assert_allclose(layer.numbers("activation_zeros")[-1], (given == 0).mean((0, 1, 2)), atol=1e-3)


def test_a_layer_that_never_showed_anything(log):
    log.numbers_of["deep"][:, :, :] = 0
    found = only(log.found(), "dead_layer")
    assert (found.severity, found.step) == ("warning", 0) and "from the first logged step on" in found.text


@pytest.mark.parametrize(("trainable", "severity"), [(None, "warning"), (True, "warning"), (False, "note")])
def test_layers_that_do_not_change(tmp_path, trainable, severity):
    log = Planted(tmp_path, layer={} if trainable is None else {"trainable": trainable})
    for name in ("stem", "deep"):
        log.numbers_of[name][:] = log.numbers_of[name][0] * np.float32([[[1 + 1e-7]] * 1])
    found = only(log.found(), "unchanged_layer")
    assert (found.severity, found.layer, found.evidence["layers"]) == (severity, "stem", 2)
    assert found.headline.startswith("2 layers from #1 stem to #2 deep gave the same at step 7 as at step 0")
    assert ("not trainable" in found.text) is (trainable is False)


def test_what_has_no_weights_has_nothing_to_learn(tmp_path):
    log = Planted(tmp_path, layer={"kernel": None, "trainable": None})
    log.numbers_of["stem"][:] = log.numbers_of["stem"][0]
    assert log.found() == [], "as a pooling of the picture does"


def test_dropout_that_is_told_by_both_modes_is_a_note(log):
    log.summaries_of["head"]["training_cka"][:] = 0.5
    log.summaries_of["head"]["training_gap"][:] = -0.1
    found = only(log.found(), "train_eval_gap")
    assert found.severity == "note" and "as well or better, by 0.10, as behind dropout" in found.text


def test_a_network_that_is_another_one_in_evaluation_mode(log):
    log.summaries_of["deep"]["training_cka"][:] = 0.6
    log.summaries_of["head"]["training_cka"][[2, 5, 6, 7]] = 0.3
    log.summaries_of["head"]["training_gap"][:] = 0.2
    found = only(log.found(), "train_eval_gap")
    assert (found.severity, found.layer, found.step) == ("warning", "head", 5)
    assert found.evidence == {"cka": 0.3, "gap": 0.2, "first_layer": "deep"}
    assert "better by 0.20" in found.text and "#2 deep is the first that differs (0.60)" in found.text


def test_one_step_in_which_the_two_modes_differ_is_none(log):
    log.summaries_of["head"]["training_cka"][7] = 0.1
    assert log.found() == []


def test_one_label_is_all_that_is_predicted(log):
    log.scores_of[4:, ..., 1] = [1, 0, 0]
    log.scores_of[4:, :, 1:, 0] = 0
    found = only(log.found(), "prediction_collapsed")
    assert found.step == 4 and "100 % of all cells are predicted as 'background'; in the masks 60.0 % are" in found.text


@pytest.mark.parametrize(("unit", "count", "learns"), [("epoch", 4, True), ("batch", 8, True), ("batch", 8, False)])
def test_a_network_that_begins_with_what_is_most_frequent_is_no_alarm(tmp_path, unit, count, learns):
    log = Planted(tmp_path, count=count, facts={"step_unit": unit})
    log.scores_of[1:, ..., 1] = [1, 0, 0]
    log.scores_of[:, :, 1:, 0] = 0
    if not learns:
        log.summaries_of["head"]["readout"][:] = 0.6
    found = only(log.found(), "prediction_collapsed")
    assert found.severity == ("note" if learns else "alarm")
    assert ("After so few updates that is common" in found.text) is learns


def test_a_network_that_had_learned_and_collapses_is_an_alarm_at_once(log):
    log.scores_of[6:, ..., 1] = [1, 0, 0]
    log.scores_of[6:, :, 1:, 0] = 0
    assert only(log.found(), "prediction_collapsed").severity == "alarm"


@pytest.mark.parametrize(("count", "severity"), [(4, "note"), (8, "warning")])
def test_a_label_that_is_not_predicted_yet_is_a_note(tmp_path, count, severity):
    log = Planted(tmp_path, count=count)
    log.scores_of[..., 1] = [0.7, 0.0, 0.3]
    log.scores_of[:, :, 1, 0] = 0
    assert only(log.found(), "class_never_predicted").severity == severity


def test_an_untrained_network_may_predict_one_label(log):
    log.scores_of[:1, ..., 1] = [1, 0, 0]
    assert log.found() == []


class Classes(Planted):
    """The same of a model that tells classes apart: float32 (steps, images, 2) are scores."""

    def prediction_facts(self):
        labels = tuple(Label(name, value) for value, name in enumerate(NAMES))
        return PredictionFacts("class", labels, None, (-1,) * 3)

    def prediction_step(self, step):
        return PredictionStep([], self.scores_of[step])


def test_one_class_is_a_note_since_the_true_ones_are_not_known(tmp_path):
    for name, classes in (("some", np.arange(8) % 3), ("one", np.full(8, 2))):
        log = Classes(tmp_path / name)
        log.scores_of = np.full((8, 8, 2), 0.9, np.float32)
        log.scores_of[0, :, 0] = np.arange(8) % 2
        log.scores_of[1:, :, 0] = classes
        found = log.found()
        assert [(each.kind, each.severity) for each in found] == [("prediction_collapsed", "note")] * (name == "one")
    assert "all 8 samples are predicted as 'dog'" in found[0].headline and "true classes" in found[0].text


def test_a_label_that_is_never_predicted_though_a_layer_tells_it(log):
    log.scores_of[..., 1] = [0.7, 0.0, 0.3]
    log.scores_of[:, :, 1, 0] = 0
    found = only(log.found(), "class_never_predicted")
    assert found.layer == "stem" and found.headline.startswith("Since step 0, 'cat' is not predicted")
    assert "tells it from all else (separation 0.90; 0.60 at step 0)" in found.text


def test_a_label_that_the_last_layer_tells_is_outweighed_there(log):
    log.scores_of[..., 1] = [0.7, 0.001, 0.299]
    log.scores_of[:, :, 1, 0] = 0
    log.summaries_of["head"]["cat_separation_best"] = np.linspace(0.6, 0.95, 8)
    found = only(log.found(), "class_never_predicted")
    assert found.layer == "head" and found.headline.startswith("Since step 0, 'cat' is hardly predicted")
    assert "another label outweighs it there" in found.text and "stands behind" not in found.text


def test_a_label_that_is_lost(log):
    log.scores_of[5:, :, 2, 0] = 0.01
    found = [each for each in log.found() if each.kind == "class_lost"]
    assert only(found, "class_lost").step == 5 and found[0].evidence["best_step"] == 4


def test_what_the_untrained_network_happens_to_predict_is_not_lost(log):
    log.scores_of[0, :, 2, 0], log.scores_of[1:, :, 2, 0] = 0.8, 0.01
    assert "class_lost" not in {each.kind for each in log.found()}


def test_a_score_that_fell_in_most_samples(log):
    log.scores_of[5:, ..., 0] = 0.3
    found = only(log.found(), "probe_score_fell")
    assert found.evidence["images_worse"] == 1 and found.severity == "warning"


def test_a_score_that_fell_in_few_samples_says_nothing(log):
    log.scores_of[5:, :3, :, 0] = 0.0
    assert "probe_score_fell" not in {each.kind for each in log.found()}


def test_position_is_all_that_is_known(log):
    for values in log.summaries_of.values():
        values["readout_control"] = values["readout"] + 0.01
    found = only(log.found(), "position_only")
    of_last_three = 0.6 + 0.3 * 6 / 7 + 0.01
    assert (
        found.evidence["control"] == pytest.approx(of_last_three, abs=1e-5)
        and "on the masks of OTHER images" in found.text
    )


def test_layers_that_have_settled_while_others_move(log):
    log.summaries_of["stem"]["cka_previous"][3:] = 0.99995
    found = only(log.found(), "settled")
    assert found.severity == "note" and "#1 stem (since 2)" in found.text


def test_where_all_have_settled_there_is_nothing_to_say(log):
    for values in log.summaries_of.values():
        values["cka_previous"][3:] = 0.99995
    assert log.found() == []


def test_slow_steps_one_way_are_not_rest(log):
    log.summaries_of["stem"]["cka_previous"][:] = 0.998  # six such angles are .38: as far as a CKA of .93
    assert log.found() == []


def test_few_directions(log):
    log.summaries_of["deep"]["effective_rank"][4:] = 1.5
    found = only(log.found(), "narrow_use")
    assert (found.severity, found.layer, found.step) == ("note", "deep", 4)


@pytest.mark.parametrize(("kind", "value"), [("checkerboard", 0.3), ("border", 0.4)])
def test_what_reaches_the_last_layer_is_told_and_what_does_not_is_not(tmp_path, kind, value):
    log = Planted(tmp_path / "inside", layer={"period": 2})
    log.summaries_of["deep"][kind][:] = value
    assert log.found() == []
    log = Planted(tmp_path / "last", layer={"period": 2})
    log.summaries_of["head"][kind][3:] = value
    found = only(log.found(), kind)
    assert (found.layer, found.step, found.evidence[kind]) == ("head", 7, pytest.approx(value))
    assert found.severity == ("warning" if kind == "checkerboard" else "note")
    log = Planted(tmp_path / "first", layer={"period": 2})
    log.summaries_of["head"][kind][:5] = value
    assert log.found() == [], "training has evened it out"


def test_a_checkerboard_that_training_evens_out_is_a_note(tmp_path):
    for name, first, unit, severity in (
        ("less", 0.8, "epoch", "note"),
        ("as much", 0.35, "epoch", "warning"),
        ("young", 0.35, "batch", "note"),
    ):
        log = Planted(tmp_path / name, layer={"period": 2}, facts={"step_unit": unit})
        log.summaries_of["head"]["checkerboard"] = np.linspace(first, 0.3, 8)
        found = only(log.found(), "checkerboard")
        assert found.severity == severity, name
        assert "the last logged layer, repeat every 2 cells" in found.text


def test_a_wide_border_is_told_in_whichever_layer_it_is(log):
    log.summaries_of["deep"]["border"][:] = 0.6
    found = only(log.found(), "border")
    assert (found.severity, found.layer) == ("note", "deep") and "the last layer" not in found.text


def test_gridding_that_came_with_the_training(log):
    log.summaries_of["deep"]["gridding"][4:] = 0.2
    assert only(log.found(), "gridding").layer == "deep"


@pytest.mark.parametrize(("dilation", "kernel"), [(8, (3, 3)), (7, (3, 3)), (8, (1, 1))])
def test_a_dilation_as_wide_as_the_maps(tmp_path, dilation, kernel):
    found = Planted(tmp_path, layer={"dilation": dilation, "kernel": kernel}).found()
    wide = [each.layer for each in found if each.kind == "gridding"]
    sides = {name: shape[0] for name, shape in LAYERS.items()}
    assert wide == [name for name, side in sides.items() if dilation >= side and kernel == (3, 3)]
    assert all(each.severity == "note" and "of its 9 weights the middle one" in each.text for each in found)


def test_a_layer_that_has_lost_the_order_of_cells(tmp_path):
    log = Planted(tmp_path / "behind", layer={"map": (8, 8)})
    log.summaries_of["head"]["coherence"][:] = 0.05
    log.layers["deep"] = (8, 8, 16)
    log.start(0)
    assert only(log.found(), "scrambled").layer == "head"
    log = Planted(tmp_path / "other")
    log.summaries_of["deep"]["coherence"][:] = 0.05
    assert log.found() == [], "a smaller layer has less of it"


def test_disorder_that_was_learned_is_no_scrambling(log):
    log.layers["deep"] = (8, 8, 16)
    log.start(0)
    log.summaries_of["head"]["coherence"] = np.linspace(0.6, 0.0, 8)
    assert log.found() == [], "as a denoiser puts out noise"


def test_channels_that_are_one_and_the_same(log):
    log.numbers_of["stem"][2:, 4:10] = log.numbers_of["stem"][2:, 4:5]
    found = only(log.found(), "duplicate_channels")
    assert (found.severity, found.step, found.evidence["same"]) == ("warning", 2, 6)


def test_channels_that_have_come_to_show_the_same(log):
    log.summaries_of["deep"]["duplicates"][5:] = 0.9
    found = only(log.found(), "duplicate_channels")
    assert found.severity == "note" and found.headline.startswith(
        "90.0 % of the channels of #2 deep show what another one"
    )


def test_the_gravest_come_first_and_ones_own_are_among_them(log):
    log.summaries_of["stem"]["cka_previous"][3:] = 0.99995
    log.numbers_of["deep"][3:, :6] = 0
    log.found()
    run = open_log(log.directory)[0]

    def mine(run):
        return [Finding("mine", "alarm", f"{len(run.layers)} layers. All of them.")]

    found = findings(run, extra=[mine])
    assert [each.kind for each in found] == ["mine", "dead_channels", "settled"]
    assert found[0].headline == "3 layers"


def test_a_finding_has_a_severity_that_is_known():
    with pytest.raises(ValueError, match="one of 'alarm', 'warning', 'note'; received 'fatal'"):
        Finding("mine", "fatal", "This.")


def test_of_many_alike_the_first_are_told_and_other_kinds_come_before_the_second(tmp_path, monkeypatch, capsys):
    for at in range(6):
        monkeypatch.setitem(LAYERS, f"more{at}", (4, 4, 16))
    log = Planted(tmp_path)
    for at in range(6):
        log.numbers_of[f"more{at}"][4:, :9] = 0
    log.numbers_of["stem"][2:, 4:10] = log.numbers_of["stem"][2:, 4:5]
    found = log.found()
    kinds = ["dead_channels", "duplicate_channels", *["dead_channels"] * 5]
    assert [each.kind for each in found] == kinds, "each has its place, on its layer"
    text = markdown(found)
    assert text.count("dead\\_channels") == 3 and "The same is found 3 times more: more3, more4, more5." in text
    assert main(["findings", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.count("warning: dead_channels") == 3 and "3 times more: more3, more4, more5." in told


def test_all_say_what_they_must(log):
    """What holds for each finding, of all kinds that these numbers can show at once."""
    log.numbers_of["stem"][4:, :6] = 0
    log.scores_of[5:, :, 2, 0] = 0.01
    log.summaries_of["deep"]["effective_rank"][4:] = 1.5
    log.summaries_of["deep"]["cka_previous"][3:] = 0.99995
    found = log.found()
    assert len(found) >= 4
    for each in found:
        assert each.kind in KINDS and each.severity in SEVERITIES and each.advice.endswith(".")
        assert "does not show" in each.text and "  " not in each.text and ".." not in each.text
        assert all(value is None or isinstance(value, int | float | str) for value in each.evidence.values())
        assert dataclasses.asdict(each)["link"]["view"] in ("layer", "prediction", "evolution")


def test_damaged_steps_are_passed_over(log):
    for step in range(8):
        log.write(step)
    with open(log.path, "r+b") as file:
        content = bytearray(file.read())
        content[len(content) // 2] ^= 255
        file.seek(0)
        file.write(content)
    assert open_log(log.directory)[0].findings() == []


@pytest.mark.parametrize("at", [5, 7])
@pytest.mark.parametrize("kind", ["dead_layer", "non_finite", "prediction_collapsed"])
def test_damage_is_neither_an_end_nor_a_beginning(log, kind, at):
    if kind == "dead_layer":
        log.numbers_of["deep"][3:] = 0
        log.numbers_of["deep"][at, :, 5] = 1.5  # so that its bytes are found
    elif kind == "non_finite":
        log.numbers_of["deep"][3:, 2, BAD] = 7
    else:
        log.scores_of[2:, ..., 1] = [1, 0, 0]
        log.scores_of[2:, :, 1:, 0] = 0
    before = only(log.found(), kind)
    hit = log.scores_of[at] if kind == "prediction_collapsed" else log.numbers_of["deep"][at]
    content = bytearray(log.path.read_bytes())
    place = content.rindex(hit.tobytes())
    content[place] ^= 255
    log.path.write_bytes(content)
    run = open_log(log.directory)[0]
    found = only(run.findings(), kind)
    assert run.problems and (found.severity, found.step, found.layer) == (before.severity, before.step, before.layer)


def test_hand_written_numbers_of_any_kind_are_survived(tmp_path):
    log = RunLog(tmp_path, {"a": (2, 2, 4), "b": (1, 3, 1)}, steps=[0, 1, 2, 5], prediction="labels")
    kinds = {each.kind for each in open_log(log.directory)[0].findings()}
    assert "non_finite" in kinds and kinds <= set(KINDS)
    other = RunLog(tmp_path / "class", {"a": (2, 2, 4)}, steps=[0, 1, 2, 5], prediction="class", masks=False)
    assert open_log(other.directory)[0].findings()


def test_a_log_of_more_than_can_be_read_is_refused(tmp_path, monkeypatch):
    log = Planted(tmp_path)
    log.found()
    monkeypatch.setattr("fm_callback.read.evidence._MOST_READ", 5)
    with pytest.raises(UnknownError, match="too many layers"):
        open_log(log.directory)[0].findings()


def test_of_a_long_log_steps_are_spread(log, monkeypatch):
    log.numbers_of["deep"][3:] = 0
    monkeypatch.setattr("fm_callback.read.evidence._MOST_READ", 12)
    found = only(log.found(), "dead_layer")
    assert found.step == 4  # of 0, 2, 4, 7


def collapsing(rate):
    """A model that a high rate makes NaN, and its data."""
    keras.utils.set_random_seed(0)
    conv = keras.layers.Conv2D
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), conv(8, 3, activation="relu", name="stem"), conv(1, 3, name="head")]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32")
    return model, x, x[:, 2:-2, 2:-2]


def test_what_stands_out_is_told_at_the_end_of_fit_and_in_the_text_tab(tmp_path, capsys):
    model, x, y = collapsing(1e8)
    model.fit(x, y, epochs=8, verbose=2, callbacks=[FeatureMapCallback(x[:4], tmp_path)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "FeatureMapCallback: alarm: " in line]
    assert len(lines) == 1 and lines[0].endswith("is NaN or infinite (non_finite)")
    run = open_log(tmp_path)[0]
    text = (
        values_at(run_directory := tmp_path / "feature_maps", run.steps[-1])["findings"].tensor.string_val[0].decode()
    )
    assert text.startswith("- **alarm, non\\_finite**: Since step ") and "*What people then try*" in text
    assert steps_of(run_directory)[-1] == run.steps[-1]


def test_a_quiet_fit_says_nothing_and_a_loop_of_fits_says_it_once(tmp_path, capsys):
    model, x, y = collapsing(1e8)
    callback = FeatureMapCallback(x[:4], tmp_path)
    model.fit(x, y, epochs=8, verbose=0, callbacks=[callback])
    assert "alarm" not in capsys.readouterr().out
    model, x, y = collapsing(1e8)
    callback = FeatureMapCallback(x[:4], tmp_path / "loop")
    for epoch in range(4):
        model.fit(x, y, initial_epoch=4 * epoch, epochs=4 * epoch + 4, verbose=2, callbacks=[callback])
    assert capsys.readouterr().out.count("(non_finite)") == 1


def test_at_most_five_lines_are_printed(tmp_path, capsys):
    callback = FeatureMapCallback(np.zeros((4, 4, 1)), tmp_path)
    found = [Finding(f"kind{at}", "note", f"Number {at}. And more.") for at in range(7)]
    callback._say_findings(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FeatureMapCallback: note: Number 0 (kind0)" and len(lines) == 5
    assert lines[-1] == f"FeatureMapCallback: and 3 more: fm-callback findings {tmp_path}"


def test_a_line_is_printed_for_each_kind(tmp_path, capsys):
    callback = FeatureMapCallback(np.zeros((4, 4, 1)), tmp_path)
    many = [Finding("dead_channels", "warning", f"Layer {at} has died. And more.", f"layer{at}") for at in range(9)]
    callback._say_findings([*many, Finding("border", "note", "A frame. And more.")])
    assert capsys.readouterr().out.splitlines() == [
        "FeatureMapCallback: warning: Layer 0 has died (dead_channels, and 8 more)",
        "FeatureMapCallback: note: A frame (border)",
    ]


def test_a_failure_to_find_is_one_warning_and_the_log_is_whole(tmp_path, monkeypatch):
    model, x, y = collapsing(0.01)
    monkeypatch.setattr("fm_callback.read.findings.KINDS", {"broken": lambda evidence: 1 / 0})
    with pytest.warns(RuntimeWarning, match="could not look for what stands out there: ZeroDivisionError") as told:
        model.fit(x, y, epochs=2, verbose=0, callbacks=[FeatureMapCallback(x[:4], tmp_path)])
    assert len([each for each in told if "stands out" in str(each.message)]) == 1
    assert open_log(tmp_path)[0].steps == (0, 1, 2)


def test_in_a_loop_of_fits_what_becomes_graver_is_told_again(tmp_path, capsys):
    watched = FeatureMapCallback(np.zeros((1, 8, 8, 1)), tmp_path)
    for severity, told in (("note", 1), ("note", 0), ("alarm", 1)):
        watched._say_findings([Finding("prediction_collapsed", severity, "All is one label. So it is.")])
        assert capsys.readouterr().out.count(f"{severity}: All is one label") == told
