#!/usr/bin/env python3
"""The jobs of bench/train_bench.cc as a plain PyTorch loop: data in memory as one tensor, a gather for each batch.

    python3 bench/pytorch_loop.py --job lenet|small_cnn|resnet18 [--epochs 2] [--threads 1] [--fused] [--data examples/data]

--fused takes the optimizer's fused form. Prints one JSON object: seconds of training of each epoch. Needs torch and NumPy.
"""
import argparse
import gzip
import json
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def mnist(folder):
    folder = pathlib.Path(folder) / "mnist"
    pixels = np.frombuffer(gzip.open(folder / "train-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    labels = np.frombuffer(gzip.open(folder / "train-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    images = (torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.float32)) / 255 - 0.1307) / 0.3081
    return images[:55000], torch.from_numpy(labels.astype(np.int64))[:55000]


def random_images(count):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 32, 32, generator=generator), torch.randint(10, (count,), generator=generator)


def lenet():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def conv(inputs, outputs, stride=1, size=3):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


def small_cnn():
    layers = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        layers += [conv(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, stride, 1), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


def resnet18():
    blocks, width = [], 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(width, outputs, stride), Block(outputs, outputs, 1)]
        width = outputs
    return nn.Sequential(conv(3, 64), nn.BatchNorm2d(64), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(512, 10))


def adam(parameters, fused, rate):
    return torch.optim.Adam(parameters, lr=rate, fused=fused)


def momentum(parameters, fused, rate):
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=5e-4, fused=fused)


JOBS = {"lenet": (lenet, mnist, 60, adam, 0.0012),
        "small_cnn": (small_cnn, lambda _: random_images(25600), 128, adam, 0.001),
        "resnet18": (resnet18, lambda _: random_images(640), 32, momentum, 0.01)}


def train_epoch(model, optimizer, images, labels, batch, generator):
    loss_of = nn.CrossEntropyLoss()
    model.train()
    order = torch.randperm(len(images), generator=generator)
    for at in range(0, len(images), batch):
        index = order[at:at + batch]
        optimizer.zero_grad()
        loss_of(model(images[index]), labels[index]).backward()
        optimizer.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True, choices=sorted(JOBS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--data", default=str(pathlib.Path(__file__).resolve().parents[1] / "examples" / "data"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)
    make_model, load, batch, make_optimizer, rate = JOBS[arguments.job]
    images, labels = load(arguments.data)
    model = make_model()
    optimizer = make_optimizer(model.parameters(), arguments.fused, rate)
    generator = torch.Generator().manual_seed(42)
    seconds = []
    for _ in range(arguments.epochs):
        began = time.perf_counter()
        train_epoch(model, optimizer, images, labels, batch, generator)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"tool": "pytorch-fused" if arguments.fused else "pytorch", "job": arguments.job,
                      "threads": arguments.threads, "version": torch.__version__, "train_s": seconds}))


if __name__ == "__main__":
    main()
