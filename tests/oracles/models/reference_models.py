"""Every model of worker/models in Python: torchvision's own class where it has the model, else a definition that repeats
the published one, with its tensor names.

    model = make("resnet18", {"stem": "SMALL_IMAGES"}, channels=3, classes=10)

Options are those of the proto's Model. Needs torch and torchvision.
"""
import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn


def make(kind, options, channels, classes):
    model = KINDS[kind](classes=classes, **{name: _plain(value) for name, value in options.items()})
    if channels != 3 and kind not in ("lenet_300_100", "small_cnn"):
        raise ValueError("only the small models are compared with other images than those of three channels")
    return model


def _plain(value):
    return value.lower() if isinstance(value, str) else value


def _conv(inputs, outputs, size, stride=1, bias=False, groups=1):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=bias)


def _mean(x):
    return x.mean((2, 3))


# ---- torchvision's


def _torchvision_resnet(name):
    def build(classes, stem):
        model = getattr(torchvision.models, name)(num_classes=classes)
        if stem == "small_images":
            model.conv1 = _conv(3, 64, 3)
            model.maxpool = nn.Identity()
        return model
    return build


def _densenet121(classes, stem):
    model = torchvision.models.densenet121(num_classes=classes)
    if stem == "small_images":
        model.features.conv0 = _conv(3, 64, 3)
        model.features.pool0 = nn.Identity()
    return model


def _inception_v3(classes, auxiliary_head, default_weights, dropout):
    return torchvision.models.inception_v3(num_classes=classes, aux_logits=auxiliary_head, dropout=dropout,
                                           init_weights=default_weights == "truncated_normal")


def _mobilenet_v2(classes, stem, dropout):
    model = torchvision.models.mobilenet_v2(num_classes=classes, dropout=dropout)
    if stem == "small_images":
        for module in model.features[:5].modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
    return model


def _convnext(name):
    def build(classes, stem, stochastic_depth):
        model = getattr(torchvision.models, name)(num_classes=classes, stochastic_depth_prob=stochastic_depth)
        if stem == "small_images":
            model.features[0][0].stride = (1, 1)
        return model
    return build


def _swin_t(classes, stochastic_depth):
    # As torchvision's function swin_t, which fixes the stochastic depth.
    return torchvision.models.SwinTransformer(patch_size=[4, 4], embed_dim=96, depths=[2, 2, 6, 2], window_size=[7, 7],
                                              num_heads=[3, 6, 12, 24], stochastic_depth_prob=stochastic_depth,
                                              num_classes=classes)


# ---- small ones


class LeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
                                    nn.Linear(100, classes))

    def forward(self, x):
        return self.layers(x.flatten(1))


class SmallCnn(nn.Module):
    """headstart's own."""

    def __init__(self, classes, channels=3):
        super().__init__()
        for i, (inputs, outputs) in enumerate(((channels, 32), (32, 64), (64, 128)), 1):
            setattr(self, f"conv{i}", _conv(inputs, outputs, 3))
            setattr(self, f"bn{i}", nn.BatchNorm2d(outputs))
        self.linear = nn.Linear(128, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.linear(_mean(F.relu(self.bn3(self.conv3(x)))))


class SampledCnn(nn.Module):
    """headstart's own."""

    class Block(nn.Module):
        def __init__(self, inputs, channels, kernel, skip):
            super().__init__()
            self.skip = skip
            self.conv = _conv(inputs, channels, kernel, bias=True)
            if skip and inputs != channels:
                self.projection = _conv(inputs, channels, 1, bias=True)

        def forward(self, x):
            y = self.conv(x)
            if self.skip:
                y = y + (self.projection(x) if hasattr(self, "projection") else x)
            return F.relu(F.group_norm(y, 1))

    def __init__(self, classes, layers, channels=3):
        super().__init__()
        self.layers = nn.ModuleList()
        for layer in layers:
            self.layers.append(self.Block(channels, **layer))
            channels = layer["channels"]
        self.linear = nn.Linear(channels, classes)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < 2:
                x = F.max_pool2d(x, 2)
        return self.linear(_mean(x))


# ---- kuangliu/pytorch-cifar


class CifarBlock(nn.Module):
    """Basic, or a bottleneck when the expansion is 4; the stride is at the 3x3 convolution."""

    def __init__(self, inputs, planes, stride, expansion):
        super().__init__()
        shapes = [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        if expansion == 4:
            shapes = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, 4 * planes, 1, 1)]
        for i, shape in enumerate(shapes, 1):
            setattr(self, f"conv{i}", _conv(*shape))
            setattr(self, f"bn{i}", nn.BatchNorm2d(shape[1]))
        self.layers = [(getattr(self, f"conv{i}"), getattr(self, f"bn{i}")) for i in range(1, len(shapes) + 1)]
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != planes * expansion:
            self.shortcut = nn.Sequential(_conv(inputs, planes * expansion, 1, stride), nn.BatchNorm2d(planes * expansion))

    def forward(self, x):
        y = x
        for i, (conv, bn) in enumerate(self.layers):
            y = bn(conv(F.relu(y) if i else y))
        return F.relu(y + self.shortcut(x))


class PreActBlock(nn.Module):
    def __init__(self, inputs, planes, stride, expansion):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv(inputs, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3)
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(_conv(inputs, planes, 1, stride))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = self.shortcut(y) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + shortcut


class CifarResNet(nn.Module):
    def __init__(self, block, expansion, depths, classes, stem_norm=True):
        super().__init__()
        self.conv1 = _conv(3, 64, 3)
        self.bn1 = nn.BatchNorm2d(64) if stem_norm else None
        inputs = 64
        for stage, depth in enumerate(depths):
            planes = 64 * 2 ** stage
            blocks = []
            for i in range(depth):
                blocks.append(block(inputs, planes, 2 if i == 0 and stage else 1, expansion))
                inputs = planes * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.conv1(x)
        if self.bn1 is not None:
            x = F.relu(self.bn1(x))
        return self.linear(_mean(self.layer4(self.layer3(self.layer2(self.layer1(x))))))


class MobileBlock(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        wide = inputs * expansion
        self.stride = stride
        self.conv1 = _conv(inputs, wide, 1)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = _conv(wide, wide, 3, stride, groups=wide)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = _conv(wide, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride == 1 and inputs != outputs:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.stride == 1 else y


class CifarMobileNetV2(nn.Module):
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes):
        super().__init__()
        self.conv1 = _conv(3, 32, 3)
        self.bn1 = nn.BatchNorm2d(32)
        blocks, inputs = [], 32
        for expansion, outputs, count, stride in self.STAGES:
            for i in range(count):
                blocks.append(MobileBlock(inputs, outputs, expansion, stride if i == 0 else 1))
                inputs = outputs
        self.layers = nn.Sequential(*blocks)
        self.conv2 = _conv(320, 1280, 1)
        self.bn2 = nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(_mean(F.relu(self.bn2(self.conv2(x)))))


# ---- zhuchen03/gradinit


def _norm(norm, width, **options):
    return nn.BatchNorm2d(width, **options) if norm == "batch_norm" else nn.Identity()


class PlainBlock(nn.Module):
    """Of ResNet-110. Without norms the convolutions have biases."""

    def __init__(self, inputs, planes, stride, norm, shortcut):
        super().__init__()
        bias = norm == "no_norm"
        self.conv1 = _conv(inputs, planes, 3, stride, bias)
        self.bn1 = _norm(norm, planes)
        self.conv2 = _conv(planes, planes, 3, 1, bias)
        self.bn2 = _norm(norm, planes)
        self.widens = inputs != planes and shortcut != "projection"
        self.downsample = nn.Identity()
        if inputs != planes:
            if shortcut == "projection":
                self.downsample = nn.Sequential(_conv(inputs, planes, 1, stride, bias), _norm(norm, planes))
            else:
                self.downsample = nn.Sequential(nn.AvgPool2d(1, stride))
                if shortcut == "average_pool_norm":
                    self.downsample.append(_norm(norm, inputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = self.downsample(x)
        if self.widens:
            shortcut = torch.cat((shortcut, torch.zeros_like(shortcut)), 1)
        return F.relu(y + shortcut)


class ResNet110(nn.Module):
    def __init__(self, classes, norm, shortcut):
        super().__init__()
        self.conv1 = _conv(3, 16, 3, bias=norm == "no_norm")
        self.bn1 = _norm(norm, 16)
        inputs = 16
        for stage, planes in enumerate((16, 32, 64), 1):
            blocks = []
            for i in range(18):
                blocks.append(PlainBlock(inputs, planes, 2 if i == 0 and stage > 1 else 1, norm, shortcut))
                inputs = planes
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(_mean(self.layer3(self.layer2(self.layer1(x)))))


class WideBlock(nn.Module):
    """The second convolution has the stride."""

    def __init__(self, inputs, planes, stride, norm, conv_bias, dropout):
        super().__init__()
        self.bn1 = _norm(norm, inputs)
        self.bn2 = _norm(norm, planes)
        self.conv1 = _conv(inputs, planes, 3, 1, conv_bias)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = _conv(planes, planes, 3, stride, conv_bias)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(_conv(inputs, planes, 1, stride, conv_bias))

    def forward(self, x):
        y = self.dropout(self.conv1(F.relu(self.bn1(x))))
        return self.conv2(F.relu(self.bn2(y))) + self.shortcut(x)


class WideResNet28x10(nn.Module):
    def __init__(self, classes, norm, conv_bias, dropout):
        super().__init__()
        self.conv1 = _conv(3, 16, 3, bias=conv_bias)
        inputs = 16
        for stage, planes in enumerate((160, 320, 640), 1):
            blocks = []
            for i in range(4):
                blocks.append(WideBlock(inputs, planes, 2 if i == 0 and stage > 1 else 1, norm, conv_bias, dropout))
                inputs = planes
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.bn1 = _norm(norm, 640, momentum=0.9)
        self.linear = nn.Linear(640, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(_mean(F.relu(self.bn1(x))))


class BcLayer(nn.Module):
    def __init__(self, inputs, norm):
        super().__init__()
        self.norm1 = _norm(norm, inputs)
        self.conv1 = _conv(inputs, 48, 1, bias=norm == "no_norm")
        self.norm2 = _norm(norm, 48)
        self.conv2 = _conv(48, 12, 3, bias=norm == "no_norm")

    def forward(self, x):
        return torch.cat((x, self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))), 1)


def _densenet_bc_100_12(classes, norm):
    features, width = nn.Sequential(), 24
    features.add_module("conv0", _conv(3, width, 3, bias=norm == "no_norm"))
    for block in (1, 2, 3):
        layers = nn.Sequential()
        for i in range(16):
            layers.add_module(f"denselayer{i + 1}", BcLayer(width, norm))
            width += 12
        features.add_module(f"denseblock{block}", layers)
        if block < 3:
            transition = nn.Sequential()
            transition.add_module("norm", _norm(norm, width))
            transition.add_module("relu", nn.ReLU())
            transition.add_module("conv", _conv(width, width // 2, 1, bias=norm == "no_norm"))
            transition.add_module("pool", nn.AvgPool2d(2))
            features.add_module(f"transition{block}", transition)
            width //= 2
    features.add_module("norm_final", _norm(norm, width))
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("relu", nn.ReLU())
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Linear(width, classes))
    return model


# ---- hongyi-zhang/Fixup


def _scalar():
    return nn.Parameter(torch.zeros(1))


class FixupBlock(nn.Module):
    """Basic, or a bottleneck when the expansion is 4. A shortcut that changes the shape takes the biased input; one
    without weights (CIFAR's) is filled up with zeros."""

    def __init__(self, inputs, planes, stride, expansion, projects):
        super().__init__()
        outputs = planes * expansion
        shapes = [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        if expansion == 4:
            shapes = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, outputs, 1, 1)]
        self.count = len(shapes)
        for i, shape in enumerate(shapes, 1):
            setattr(self, f"bias{i}a", _scalar())
            setattr(self, f"conv{i}", _conv(*shape))
            if i == self.count:
                self.scale = nn.Parameter(torch.ones(1))
            setattr(self, f"bias{i}b", _scalar())
        self.downsample = None
        self.widens = inputs != outputs and not projects
        if projects and (stride != 1 or inputs != outputs):
            self.downsample = _conv(inputs, outputs, 1, stride)
        elif stride != 1:
            self.downsample = nn.AvgPool2d(1, stride)

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"conv{i}")(y + getattr(self, f"bias{i}a"))
            if i < self.count:
                y = F.relu(y + getattr(self, f"bias{i}b"))
        y = y * self.scale + getattr(self, f"bias{self.count}b")
        shortcut = x if self.downsample is None else self.downsample(x + self.bias1a)
        if self.widens:
            shortcut = torch.cat((shortcut, torch.zeros_like(shortcut)), 1)
        return F.relu(y + shortcut)


class FixupResNet(nn.Module):
    def __init__(self, depths, expansion, first, projects, classes):
        super().__init__()
        self.large = projects
        self.conv1 = _conv(3, first, 7, 2) if projects else _conv(3, first, 3)
        self.bias1 = _scalar()
        inputs = first
        for stage, depth in enumerate(depths):
            planes = first * 2 ** stage
            blocks = []
            for i in range(depth):
                blocks.append(FixupBlock(inputs, planes, 2 if i == 0 and stage else 1, expansion, projects))
                inputs = planes * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.bias2 = _scalar()
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = F.relu(self.conv1(x) + self.bias1)
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(_mean(x) + self.bias2)


def _cifar_resnet(expansion, depths):
    return lambda classes: CifarResNet(CifarBlock, expansion, depths, classes)


def _cifar_fixup(depth):
    return lambda classes: FixupResNet((depth,) * 3, 1, 16, False, classes)


def _fixup(expansion, depths):
    return lambda classes: FixupResNet(depths, expansion, 64, True, classes)


KINDS = {
    **{name: _torchvision_resnet(name)
       for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2")},
    "densenet121": _densenet121,
    "inception_v3": _inception_v3,
    "mobilenet_v2": _mobilenet_v2,
    "convnext_tiny": _convnext("convnext_tiny"),
    "convnext_base": _convnext("convnext_base"),
    "swin_t": _swin_t,
    "lenet_300_100": LeNet,
    "small_cnn": SmallCnn,
    "sampled_cnn": SampledCnn,
    "cifar_resnet18": _cifar_resnet(1, (2, 2, 2, 2)),
    "cifar_resnet50": _cifar_resnet(4, (3, 4, 6, 3)),
    "cifar_resnet152": _cifar_resnet(4, (3, 8, 36, 3)),
    "preact_resnet18": lambda classes: CifarResNet(PreActBlock, 1, (2, 2, 2, 2), classes, stem_norm=False),
    "cifar_mobilenet_v2": CifarMobileNetV2,
    "resnet110": ResNet110,
    "wide_resnet28_10": WideResNet28x10,
    "densenet_bc_100_12": _densenet_bc_100_12,
    "fixup_resnet20": _cifar_fixup(3),
    "fixup_resnet56": _cifar_fixup(9),
    "fixup_resnet110": _cifar_fixup(18),
    "fixup_resnet18": _fixup(1, (2, 2, 2, 2)),
    "fixup_resnet50": _fixup(4, (3, 4, 6, 3)),
}
