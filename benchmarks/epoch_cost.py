"""What the end of one epoch costs, ours and others', against one bare forward pass: full SD_UNet, 51 layers, 32 channels.

    python benchmarks/epoch_cost.py                                          # an untrained model, a drawn pet
    python benchmarks/epoch_cost.py --model MODEL.keras --arrays FILE.npz    # trained, a photograph
    python benchmarks/epoch_cost.py --quick                                  # a small model, three layers for the rivals

One image of 160x160 with its mask. Ways take turns; every ratio is the median of the ratios within a turn. The two slow rivals run
twice after that, each time with five of our steps before and five after, whose median makes the pair. What is not installed is
left out with a message: matplotlib, tf-explain (with opencv-python-headless), TensorFlow for `tf.summary`. "Training thread" is what
`on_epoch_end` takes; "all work" lasts until the step is on disk; "cpu" is the processor time of all threads.
"""

import math
import tempfile
from pathlib import Path
from statistics import median

import keras
from driving import Watched, accelerated, arguments, device, subject, wait
from rivals import hand_written, reference, summary_image, tf_explain
from tensorboard.compat.proto import event_pb2
from timing import Spent, beside, cpu, figure, interleaved, ratio, wall

from fm_callback import tfrecord
from fm_callback.capture.backends import backend
from fm_callback.capture.capture import Capture
from fm_callback.format import PREFIX, from_json, head_length, read_head

BARE = "bare forward pass"
ALL = "ours, until the step is on disk"
BLOCKED = "ours, training thread"
REFERENCE = "the reference's way, with its figures"
EXPLAIN = "tf-explain, a callback for each layer"
HAND = "a careful hand-written callback"
SUMMARY = "tf.summary.image on a reused extractor"


def main() -> None:
    """Measures and prints."""
    options = arguments(__doc__, repeats=15).parse_args()
    watched = subject(options)
    model, batch, _ = watched
    capture = Capture(model, batch, "all", 32)
    raw = sum(len(plan.channels) * math.prod(plan.axes) for plan in capture.plans)
    names = [plan.info.path for plan in capture.plans][: 3 if options.quick else None]
    tensor = keras.ops.convert_to_tensor(batch)
    forward = backend.compile(model, lambda inputs: model(inputs, training=False))
    print(f"{device()}, {len(capture.plans)} layers, {raw / 1e6:.2f} MB of raw maps, medians of {options.repeats}")

    with Watched(watched) as ours, tempfile.TemporaryDirectory() as name:
        print(f"step 0, compilation included: {ours.step_zero:.1f} s")
        folder = Path(name)
        rivals = {
            HAND: hand_written(model, batch, names, folder / "hand-written"),
            SUMMARY: summary_image(model, batch, names, folder / "tf.summary.image"),
        }
        slow = {
            REFERENCE: reference(model, batch, names, folder),
            EXPLAIN: tf_explain(model, batch, names, folder / "tf-explain"),
        }
        ways = {BARE: lambda: wait(forward(tensor)), ALL: ours.step}
        ways |= {name: way for name, way in rivals.items() if way is not None}
        times = interleaved(ways, options.repeats)
        times[BLOCKED] = ours.blocked[-options.repeats :]
        pairs = {}
        for name, way in slow.items():
            if way is not None:
                times[name], pairs[name] = beside(way, ours.step, turns=2, around=5)
        maps, copies, rest = sizes(ours.file.parent)
    table(times)
    print(f"bytes of a step: maps {maps:,}, Images copy {copies:,}, the rest {rest:,}; raw maps {raw:,}")

    judged = backend.name == "tensorflow" and not accelerated() and not options.quick  # what the targets are set for

    def against(one: str, other: str, **target: float) -> None:
        if one in times:
            figure(f"{one} / {other}", ratio(wall(times[one]), wall(times[other])), **target if judged else {})

    against(BLOCKED, BARE, at_most=1.3)
    against(ALL, BARE, at_most=3)
    figure(f"{ALL} / {BARE}, cpu", ratio(cpu(times[ALL]), cpu(times[BARE])))
    for name, target in ((REFERENCE, 50), (EXPLAIN, 75)):
        if name in pairs:
            print(f"{name} / {ALL}, pairs: {', '.join(f'{each:.1f}' for each in pairs[name])}")
            figure(f"{name} / {ALL}", median(pairs[name]), at_least=target if judged else None)
    against(HAND, BLOCKED, at_least=2.5)
    against(HAND, ALL)
    against(SUMMARY, BLOCKED)
    against(SUMMARY, ALL)
    figure("stored maps / raw", maps / raw, at_most=None if options.quick else 0.75)
    figure("Images copy / raw", copies / raw, at_most=None if options.quick else 0.45)
    figure("a step / raw", (maps + copies + rest) / raw)


def sizes(directory: Path) -> tuple[int, int, int]:
    """Bytes of the last step: maps, pictures for the Images tab, all the rest of its records."""
    log, events = records(directory, "*.fmlog")[-1], records(directory, "events.*")
    head = read_head(log)
    blobs = log[PREFIX + head_length(log) :]
    offset, length, _ = head["layers"]
    maps = sum(reference[1] for layer in from_json(blobs[offset : offset + length]) for reference in layer["maps"])
    last = event_pb2.Event.FromString(events[-1]).step
    step = [event for event in map(event_pb2.Event.FromString, events) if event.step == last]  # a text has its own
    copies = sum(
        value.ByteSize() for event in step for value in event.summary.value if len(value.tensor.string_val) > 1
    )
    return maps, copies, len(log) + sum(event.ByteSize() for event in step) - maps - copies


def records(directory: Path, files: str) -> list[bytes]:
    """The data of the records of the one such file."""
    with open(next(directory.glob(files)), "rb") as file:
        return [*tfrecord.records(file)]


def table(times: dict[str, list[Spent]]) -> None:
    """Prints medians, and their ratios to the bare pass's."""
    width = max(map(len, times))
    bare = Spent(median(wall(times[BARE])), median(cpu(times[BARE])))
    print(f"{'':{width}}        ms    cpu ms   / bare   cpu / bare")
    for name, taken in times.items():
        print(
            f"{name:{width}} {1e3 * median(wall(taken)):9.1f} {1e3 * median(cpu(taken)):9.1f} "
            f"{median(wall(taken)) / bare.wall:8.2f} {median(cpu(taken)) / bare.cpu:12.2f}"
        )


if __name__ == "__main__":
    main()
