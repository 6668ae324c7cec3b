"""Writes expected/*.json: what every model gives in Python for weights and images that a formula makes.

    python make_expected.py [CASE ...]
    python make_expected.py --names CASE    its tensors, one a line: to find why names differ

worker/models/oracle_test.cc fills the C++ models by the same formula and compares in float64. Made with torch 2.11.0
and torchvision 0.26.0 on a CPU; other versions give the same to some 1e-12.
"""
import json
import pathlib
import sys

import numpy
import torch
import torch.nn.functional as F

import reference_models

FOLDER = pathlib.Path(__file__).resolve().parent / "expected"
LABELS = (1, 7)
CLASSES = 10
AUXILIARY_WEIGHT = 0.4


def case(kind, side, weight_scale=1.0, channels=3, **options):
    return {"model": kind, "options": options, "weight_scale": weight_scale,
            "shape": {"channels": channels, "height": side, "width": side, "classes": CLASSES}}


# What is drawn at random while training (dropout, stochastic depth) is off. A scale of weights below 1 keeps the outputs
# of deep networks small.
CASES = {
    "lenet_300_100": case("lenet_300_100", 28, channels=1),
    "small_cnn": case("small_cnn", 12),
    "sampled_cnn": case("sampled_cnn", 12, layers=[{"channels": 8, "kernel": 3, "skip": False},
                                                   {"channels": 12, "kernel": 5, "skip": True},
                                                   {"channels": 12, "kernel": 1, "skip": True}]),
    "cifar_resnet18": case("cifar_resnet18", 16),
    "cifar_resnet50": case("cifar_resnet50", 16, 0.7),
    "cifar_resnet152": case("cifar_resnet152", 16, 0.6),
    "preact_resnet18": case("preact_resnet18", 16),
    "resnet18": case("resnet18", 64, stem="IMAGENET"),
    "resnet34": case("resnet34", 64, stem="IMAGENET"),
    "resnet50": case("resnet50", 64, 0.7, stem="IMAGENET"),
    "resnet101": case("resnet101", 64, 0.6, stem="IMAGENET"),
    "resnet152": case("resnet152", 64, 0.6, stem="IMAGENET"),
    "wide_resnet50_2": case("wide_resnet50_2", 64, 0.7, stem="IMAGENET"),
    "resnet18_small_images": case("resnet18", 16, stem="SMALL_IMAGES"),
    "resnet50_small_images": case("resnet50", 16, 0.7, stem="SMALL_IMAGES"),
    "resnet110": case("resnet110", 16, 0.5, norm="BATCH_NORM", shortcut="AVERAGE_POOL_NORM"),
    "resnet110_pad": case("resnet110", 16, 0.5, norm="BATCH_NORM", shortcut="PAD"),
    "resnet110_projection": case("resnet110", 16, 0.5, norm="BATCH_NORM", shortcut="PROJECTION"),
    "resnet110_no_norm": case("resnet110", 16, 0.5, norm="NO_NORM", shortcut="AVERAGE_POOL_NORM"),
    "wide_resnet28_10": case("wide_resnet28_10", 8, norm="BATCH_NORM", conv_bias=False, dropout=0.0),
    "wide_resnet28_10_bias": case("wide_resnet28_10", 8, norm="BATCH_NORM", conv_bias=True, dropout=0.0),
    "wide_resnet28_10_no_norm": case("wide_resnet28_10", 8, 0.7, norm="NO_NORM", conv_bias=True, dropout=0.0),
    "densenet_bc_100_12": case("densenet_bc_100_12", 16, norm="BATCH_NORM"),
    "densenet_bc_100_12_no_norm": case("densenet_bc_100_12", 16, norm="NO_NORM"),
    "densenet121": case("densenet121", 64, stem="IMAGENET"),
    "densenet121_small_images": case("densenet121", 16, stem="SMALL_IMAGES"),
    "fixup_resnet20": case("fixup_resnet20", 16),
    "fixup_resnet56": case("fixup_resnet56", 16),
    "fixup_resnet110": case("fixup_resnet110", 16, 0.7),
    "fixup_resnet18": case("fixup_resnet18", 64),
    "fixup_resnet50": case("fixup_resnet50", 64),
    "inception_v3": case("inception_v3", 96, auxiliary_head=False, default_weights="FRAMEWORK", dropout=0.0),
    "inception_v3_auxiliary": case("inception_v3", 299, auxiliary_head=True, default_weights="FRAMEWORK", dropout=0.0),
    "mobilenet_v2": case("mobilenet_v2", 64, stem="IMAGENET", dropout=0.0),
    "mobilenet_v2_small_images": case("mobilenet_v2", 12, stem="SMALL_IMAGES", dropout=0.0),
    "cifar_mobilenet_v2": case("cifar_mobilenet_v2", 16, 0.7),
    "convnext_tiny": case("convnext_tiny", 64, stem="IMAGENET", stochastic_depth=0.0),
    "convnext_tiny_small_images": case("convnext_tiny", 19, stem="SMALL_IMAGES", stochastic_depth=0.0),
    "convnext_base": case("convnext_base", 32, stem="IMAGENET", stochastic_depth=0.0),
    # Maps of 15, 8, 4 and 2: padded, odd when merged, shifted where there is more than one window.
    "swin_t": case("swin_t", 60, stochastic_depth=0.0),
}


def key_of(text):
    """FNV-1a."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2 ** 64
    return value


def noise(text, count):
    """`count` numbers in [-1, 1) that depend on `text` and their position alone."""
    with numpy.errstate(over="ignore"):
        z = numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(key_of(text))
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return torch.from_numpy((z >> numpy.uint64(11)).astype(numpy.float64) * 2.0 ** -52 - 1)


def fill(model, weight_scale):
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not tensor.is_floating_point():
            continue
        own = name.rpartition(".")[2]
        middle, width = 0, 0.1
        if own == "running_var":
            middle, width = 1, 0.5
        elif "scale" in own:
            middle, width = 0.5, 0.2
        elif tensor.dim() >= 2:  # Keeps the variance through layers of ReLU.
            width = weight_scale * (6 / (tensor.numel() // tensor.shape[0])) ** 0.5
        elif own == "weight":
            middle, width = 1, 0.2
        with torch.no_grad():
            tensor.copy_((middle + width * noise(name, tensor.numel())).view(tensor.shape))


def projection(name, tensor):
    """One number that hardly stays the same when any entry changes or moves."""
    return tensor.detach().double().flatten().dot(noise("projection " + name, tensor.numel())).item()


def tensors(model):
    """Names and shapes in their order, parameters first."""
    return "".join(f"{name} {'x'.join(map(str, tensor.shape))}\n"
                   for name, tensor in (*model.named_parameters(), *model.named_buffers()))


def build(expected):
    shape = expected["shape"]
    model = reference_models.make(expected["model"], expected["options"], shape["channels"], shape["classes"]).double()
    fill(model, expected["weight_scale"])
    return model


def add_results(expected):
    shape = expected["shape"]
    model = build(expected)
    size = (len(LABELS), shape["channels"], shape["height"], shape["width"])
    images = (3 ** 0.5 * noise("images", numpy.prod(size).item())).view(size)
    labels = torch.tensor(LABELS)

    model.eval()
    with torch.no_grad():
        expected["evaluation_logits"] = model(images).flatten().tolist()
    model.train()
    output = model(images)
    logits, auxiliary = output if isinstance(output, tuple) else (output, None)
    loss = F.cross_entropy(logits, labels)
    expected["training_logits"] = logits.flatten().tolist()
    if auxiliary is not None:
        expected["auxiliary_logits"] = auxiliary.flatten().tolist()
        loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary, labels)
    loss.backward()
    expected["loss"] = loss.item()
    expected["tensors"] = f"{key_of(tensors(model)):016x}"
    expected["gradients"] = [projection(name, each.grad) for name, each in model.named_parameters()]
    expected["buffers"] = [projection(name, each) for name, each in model.named_buffers()]


def text(value):
    """JSON with 13 digits and one field a line."""
    short = json.loads(json.dumps(value), parse_float=lambda number: float(f"{float(number):.13g}"))
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(field, separators=(',', ':'))}"
                              for name, field in short.items()) + "\n}\n"


def main():
    torch.set_num_threads(2)
    if sys.argv[1:2] == ["--names"]:
        print(tensors(build(CASES[sys.argv[2]])), end="")
        return
    for name in sys.argv[1:] or CASES:
        expected = dict(CASES[name])
        add_results(expected)
        (FOLDER / f"{name}.json").write_text(text(expected))
        print(name, *(f"{x:.3g}" for x in expected["evaluation_logits"][:4]), f"loss {expected['loss']:.6g}")


if __name__ == "__main__":
    main()
