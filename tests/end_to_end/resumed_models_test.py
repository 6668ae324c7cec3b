"""A run that goes on from epoch 1 ends with the same bytes as one that was never interrupted, in every family of models:
what they draw while they train (dropout, stochastic depth) goes on where it stopped, and so do running statistics.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Folder, sha256, train_alone  # noqa: E402

# Name, options, side of the images.
MODELS = [
    ("preact_resnet18", {}, 8),
    ("resnet50", {"stem": "SMALL_IMAGES"}, 8),
    ("resnet110", {"norm": "BATCH_NORM", "shortcut": "AVERAGE_POOL_NORM"}, 8),
    ("wide_resnet28_10", {"norm": "BATCH_NORM", "conv_bias": True, "dropout": 0.3}, 8),
    ("densenet_bc_100_12", {"norm": "BATCH_NORM"}, 8),
    ("densenet121", {"stem": "SMALL_IMAGES"}, 8),
    ("fixup_resnet20", {}, 8),
    ("inception_v3", {"auxiliary_head": False, "default_weights": "FRAMEWORK", "dropout": 0.5}, 75),
    ("mobilenet_v2", {"stem": "SMALL_IMAGES", "dropout": 0.2}, 8),
    ("cifar_mobilenet_v2", {}, 8),
    ("convnext_tiny", {"stem": "SMALL_IMAGES", "stochastic_depth": 0.5}, 16),
    ("swin_t", {"stochastic_depth": 0.5}, 32),
    ("ghn2", {"architectures": 20, "architecture_seed": 1, "meta_batch": 4, "channels": 16, "kernel": 5, "hidden": 8}, 8),
]


def main():
    differing = []
    for name, options, side in MODELS:
        with Folder() as folder:
            train_alone(folder / "whole", {name: options}, side, epochs=2)
            train_alone(folder / "resumed", {name: options}, side, epochs=2, from_epoch=1, resumed=folder / "whole")
            for file in ("epoch-2.safetensors", "epoch-2.resume.safetensors"):
                whole, resumed = (sha256(folder / run / file) for run in ("whole", "resumed"))
                print(f"{name} {file}: {whole[:12]} {resumed[:12]}", flush=True)
                if whole != resumed:
                    differing.append(f"{name} {file}")
    assert not differing, f"resumed and uninterrupted runs differ: {differing}"


if __name__ == "__main__":
    main()
