#!/usr/bin/env python3
"""ResNet-18 on CIFAR-10 on one GPU: ours against PyTorch, from one recipe (crop, flip, bf16, batch 512, one cycle).

    python3 bench/gpu_bench.py --ours headstart-train-bench --datasets DIR --report FOLDER [--seconds 540] [--jobs a,b]
    python3 bench/gpu_bench.py --ours build/dev/bin/headstart-train-bench --report FOLDER --dry

  speed          headstart, headstart with deterministic, plain PyTorch (autocast, DataLoader with workers and torchvision-like
                 transforms), torch.compile with the data on the GPU; --pairs rounds of all four, a few epochs each
  accuracy       headstart and the compiled loop over --seeds seeds, 30 epochs

FOLDER/runs.jsonl has a line per run; a run that is there is not done again, so the program can be cut off and called again
until nothing is left, which FOLDER/report.md says. --dry: a few images, one epoch, on the CPU. Needs torch beside Python.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PEAK_RATE, DECAY, MOMENTUM = 0.4, 5e-4, 0.9
SPEED = ("headstart", "headstart-deterministic", "pytorch", "compile")


class Recipe:
    def __init__(self, dry):
        self.dry = dry
        self.device = "cpu" if dry else "cuda"
        self.batch = 16 if dry else 512
        self.examples = 64 if dry else 50_000
        self.speed_epochs = 1 if dry else 5  # The first, which warms up, does not count.
        self.accuracy_epochs = 1 if dry else 30


def spec(recipe, epochs, deterministic, measured):
    """A whole TrainingSpec: what it does not say is the first golden one's, which has defaults there."""
    golden = json.loads((ROOT / "tests/golden/training_spec_full.json").read_text())[0]
    data = {"cifar10": {**golden["dataset"]["mnist"], "validation_examples": 0, "train_examples": 0,
                        "normalization": {"mean": MEAN, "standard_deviation": DEVIATION}}}
    if recipe.dry:
        data = {"synthetic": {"train_examples": recipe.examples, "test_examples": 32, "channels": 3, "image_size": 32,
                              "classes": 10, "seed": 1, "validation_examples": 0, "split_seed": 0}}
    sgd = {"learning_rate": PEAK_RATE, "momentum": MOMENTUM, "nesterov": True, "weight_decay": DECAY}
    return {**golden, "model": {"cifar_resnet18": {}}, "dataset": data, "epochs": epochs, "batch_size": recipe.batch,
            "optimizer": {"sgd": sgd, "groups": golden["optimizer"]["groups"]},
            "schedule": {"one_cycle": {"rise": 0.3, "start_divisor": 25, "final_divisor": 1e4}},
            "augmentation": {**golden["augmentation"], "crop_padding": 4, "flip_probability": 0.5},
            "precision": "BF16", "deterministic": deterministic,
            "evaluate": "TEST_LAST_EPOCH" if measured else "TEST_NEVER"}


def ours(arguments, recipe, epochs, seed, deterministic, measured):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spec(recipe, epochs, deterministic, measured), file)
        file.flush()
        command = [arguments.ours, "--spec", file.name, "--seed", str(seed), "--threads", "1" if recipe.dry else "4",
                   "--device", "cpu" if recipe.dry else "cuda:0", "--datasets", arguments.datasets]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: ended with {done.returncode}; it wrote why above")
    return json.loads(done.stdout.splitlines()[-1])


def load(arguments, recipe, part):
    """CIFAR-10's binary files as U8 images [n, 3, 32, 32] and labels."""
    import torch
    if recipe.dry:
        count = recipe.examples if part == "train" else 32
        generator = torch.Generator().manual_seed(len(part))
        return (torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8),
                torch.randint(10, (count,), generator=generator))
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if part == "train" else ["test_batch.bin"]
    folders = [pathlib.Path(arguments.datasets) / name
               for name in ("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "cifar10")]
    folder = next(path for path in folders if (path / names[0]).exists())
    rows = torch.frombuffer(bytearray(b"".join((folder / name).read_bytes() for name in names)), dtype=torch.uint8).view(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).contiguous(), rows[:, 0].long()


def normalized(images):
    import torch
    mean, deviation = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return (images.float() / 255 - mean) / deviation


class Augmented:
    """What a data set class of plain PyTorch does, image by image."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        import torch
        from torch.nn import functional
        image = functional.pad(self.images[i], (4, 4, 4, 4))
        top, left = torch.randint(9, (2,)).tolist()
        image = image[:, top:top + 32, left:left + 32]
        if torch.rand(()) < 0.5:
            image = image.flip(2)
        return normalized(image), self.labels[i]


def batches_on_device(images, labels, batch):
    """The same of whole batches, where the data already is."""
    import torch
    from torch.nn import functional
    padded = functional.pad(images, (4, 4, 4, 4))
    span = torch.arange(32, device=images.device)
    for index in torch.randperm(len(images), device=images.device).split(batch):
        top, left = torch.randint(9, (2, len(index), 1), device=images.device)
        flip = torch.rand(len(index), 1, device=images.device) < 0.5
        columns = torch.where(flip, left + 31 - span, left + span)
        rows = top + span
        taken = padded[index.view(-1, 1, 1, 1), torch.arange(3, device=images.device).view(1, 3, 1, 1),
                       rows.view(-1, 1, 32, 1), columns.view(-1, 1, 1, 32)]
        yield normalized(taken), labels[index]


def theirs(arguments, recipe, epochs, seed, compiled, measured):
    import torch
    sys.path.insert(0, str(ROOT / "bench"))
    from pytorch_loop import resnet18
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    device = torch.device(recipe.device)
    images, labels = load(arguments, recipe, "train")
    model = resnet18().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK_RATE, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY)
    steps = math.ceil(len(images) / recipe.batch)
    # Momentum does not cycle; the rise is that of ours.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * steps, pct_start=0.3,
                                                   cycle_momentum=False)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss(x, y):
        with torch.autocast(device.type, torch.bfloat16):
            return loss_of(model(x).float(), y)

    if compiled:
        loss = torch.compile(loss, mode="default" if recipe.dry else "max-autotune")
        images, labels = images.to(device), labels.to(device)
        batches = lambda: batches_on_device(images, labels, recipe.batch)  # noqa: E731
    else:
        batches = lambda it=torch.utils.data.DataLoader(  # noqa: E731
            Augmented(images, labels), recipe.batch, shuffle=True, num_workers=0 if recipe.dry else 8,
            pin_memory=not recipe.dry, persistent_workers=not recipe.dry): it
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        model.train()
        for x, y in batches():
            x = x.to(device, non_blocking=True, memory_format=torch.channels_last)
            optimizer.zero_grad()
            loss(x, y.to(device, non_blocking=True)).backward()
            optimizer.step()
            schedule.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    run = {"train_s": seconds, "version": torch.__version__, "test_accuracy": []}
    if measured:
        model.eval()
        images, labels = load(arguments, recipe, "test")
        correct = 0
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            for x, y in zip(images.split(500), labels.split(500)):
                correct += (model(normalized(x.to(device))).argmax(1).cpu() == y).sum().item()
        run["test_accuracy"] = [correct / len(images)]
    return run


def one_run(arguments, recipe, job, tool, number):
    measured = job == "accuracy"
    epochs = recipe.accuracy_epochs if measured else recipe.speed_epochs
    if tool.startswith("headstart"):
        return ours(arguments, recipe, epochs, number, tool.endswith("deterministic"), measured)
    return theirs(arguments, recipe, epochs, number, tool == "compile", measured)


def report(runs, left):
    lines = ["# GPU benchmark", "", f"{left} runs are left." if left else "Nothing is left.", "", "| tool | s an epoch | "
             "ratio to headstart | checkpoint ms | runs |", "|---|---|---|---|---|"]
    seconds = {}
    for tool in SPEED:
        mine = [run for run in runs if run["job"] == "speed" and run["tool"] == tool]
        if not mine:
            continue
        seconds[tool] = [statistics.median(run["train_s"][1:] or run["train_s"]) for run in mine]
        ratio = statistics.median(other / ours for ours, other in zip(seconds.get("headstart", []), seconds[tool]) or [(1, 1)])
        stall = [ms for run in mine for ms in run.get("snapshot_ms", [])]
        lines.append(f"| {tool} | {statistics.median(seconds[tool]):.3f} | {ratio:.2f} | "
                     f"{statistics.median(stall) if stall else math.nan:.3f} | {len(mine)} |")
    lines += ["", "| tool | test accuracy over seeds | mean | seeds |", "|---|---|---|---|"]
    for tool in ("headstart", "pytorch", "compile"):
        found = [run["test_accuracy"][-1] for run in runs if run["job"] == "accuracy" and run["tool"] == tool]
        if found:
            lines.append(f"| {tool} | {', '.join(f'{value:.4f}' for value in found)} | {statistics.mean(found):.4f} | {len(found)} |")
    devices = {run["device"] for run in runs if "device" in run}
    return "\n".join([*lines, "", f"Device: {', '.join(sorted(devices)) or 'none of ours has run'}.", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--datasets", default=".")
    parser.add_argument("--report", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no run after this")
    parser.add_argument("--jobs", default="speed,accuracy")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    recipe = Recipe(arguments.dry)
    plan = [(job, tool, number) for job, tools, count in (("speed", SPEED, arguments.pairs),
                                                          # The compiled loop is the same recipe, and the fast one.
                                                          ("accuracy", ("headstart", "compile"), arguments.seeds))
            if job in arguments.jobs.split(",") for number in range(1, count + 1) for tool in tools]
    arguments.report.mkdir(parents=True, exist_ok=True)
    path = arguments.report / "runs.jsonl"
    runs = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    left = [key for key in plan if key not in {(run["job"], run["tool"], run["number"]) for run in runs}]
    while left and time.monotonic() - began < arguments.seconds:
        job, tool, number = left.pop(0)
        runs.append({**one_run(arguments, recipe, job, tool, number), "job": job, "tool": tool, "number": number})
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(runs[-1]) + "\n")
        print(json.dumps(runs[-1]), flush=True)
    text = report(runs, len(left))
    (arguments.report / "report.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
