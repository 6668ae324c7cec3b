#!/usr/bin/env python3
"""Learning rates of torch.optim.lr_scheduler, as worker/training/schedule_values.inc.

    python3 tests/oracles/training/schedules.py > worker/training/schedule_values.inc

Needs torch. Base rate 0.1, 4 steps an epoch, 12 epochs; the rate in effect at each of the 48 steps.
"""
import torch
from torch.optim import lr_scheduler as schedulers

BASE, STEPS, EPOCHS = 0.1, 4, 12


def rates(make, per_epoch=False, warm_up_epochs=0, start_factor=0.0):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler = None if per_epoch else make(optimizer)
    if warm_up_epochs:
        # One scheduler for each part; a per-epoch shape takes a step at the end of each epoch.
        found = []
        line = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
        warm_up = schedulers.LinearLR(line, start_factor=start_factor, end_factor=1.0, total_iters=warm_up_epochs * STEPS)
        for _ in range(warm_up_epochs * STEPS):
            found.append(line.param_groups[0]["lr"])
            line.step()
            warm_up.step()
        return found + rates(make, per_epoch)[:(EPOCHS - warm_up_epochs) * STEPS]
    if per_epoch:
        scheduler = make(optimizer)
    found = []
    for step in range(EPOCHS * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not per_epoch or step % STEPS == STEPS - 1:
            try:
                scheduler.step()
            except ValueError:  # OneCycleLR has no step beyond its last.
                break
    return found


CASES = {
    "CosinePerEpoch": dict(make=lambda o: schedulers.CosineAnnealingLR(o, T_max=12, eta_min=0.01), per_epoch=True),
    "CosinePerStep": dict(make=lambda o: schedulers.CosineAnnealingLR(o, T_max=48)),
    "MultiStep": dict(make=lambda o: schedulers.MultiStepLR(o, milestones=[3, 7], gamma=0.2), per_epoch=True),
    "OneCycle": dict(make=lambda o: schedulers.OneCycleLR(o, max_lr=BASE, total_steps=48, pct_start=0.3, div_factor=25,
                                                          final_div_factor=1e4, cycle_momentum=False)),
    "OneCycleEarlyPeak": dict(make=lambda o: schedulers.OneCycleLR(o, max_lr=BASE, total_steps=48, pct_start=0.1,
                                                                   div_factor=5, final_div_factor=100,
                                                                   cycle_momentum=False)),
    "WarmUp": dict(make=lambda o: schedulers.ConstantLR(o, factor=1.0), warm_up_epochs=3, start_factor=0.1),
    "WarmUpThenCosinePerStep": dict(make=lambda o: schedulers.CosineAnnealingLR(o, T_max=40), warm_up_epochs=2,
                                    start_factor=1e-3),
    "WarmUpThenMultiStep": dict(make=lambda o: schedulers.MultiStepLR(o, milestones=[3, 7], gamma=0.2), per_epoch=True,
                                warm_up_epochs=1, start_factor=0.5),
    "WarmUpThenOneCycle": dict(make=lambda o: schedulers.OneCycleLR(o, max_lr=BASE, total_steps=40, pct_start=0.3,
                                                                    div_factor=25, final_div_factor=1e4,
                                                                    cycle_momentum=False),
                               warm_up_epochs=2, start_factor=0.04),
}


def main():
    print("// Written by tests/oracles/training/schedules.py with torch", torch.__version__.split("+")[0])
    for name, case in CASES.items():
        numbers = rates(**case)
        assert len(numbers) == EPOCHS * STEPS, (name, len(numbers))
        print(f"constexpr double k{name}[] = {{")
        for at in range(0, len(numbers), 4):
            print("    " + " ".join(f"{number!r}," for number in numbers[at:at + 4]))
        print("};")


if __name__ == "__main__":
    main()
