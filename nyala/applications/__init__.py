# SPDX-License-Identifier: Apache-2.0
"""Networks from papers, trained on ImageNet: `nyala.applications.ResNet50()`, each family in a file of its own.

A family reads like its paper: a function that stacks blocks, and under it a row for each network.
Start at frame.py, which has what all of them share, then vgg.py.
"""

from nyala.core.lazy import lazy

FAMILIES = {
    "resnet": ("ResNet50", "ResNet101", "ResNet152"),
    "resnet50": (),
    "resnet_v2": ("ResNet50V2", "ResNet101V2", "ResNet152V2"),
    "vgg16": ("VGG16",),
    "vgg19": ("VGG19",),
    "xception": ("Xception",),
    "inception_v3": ("InceptionV3",),
    "inception_resnet_v2": ("CustomScaleLayer", "InceptionResNetV2"),
    "mobilenet": ("MobileNet",),
    "mobilenet_v2": ("MobileNetV2",),
    "mobilenet_v3": ("MobileNetV3Large", "MobileNetV3Small"),
    "nasnet": ("NASNetLarge", "NASNetMobile"),
    "efficientnet": tuple(f"EfficientNetB{i}" for i in range(8)),
    "efficientnet_v2": tuple(f"EfficientNetV2{scale}" for scale in ("B0", "B1", "B2", "B3", "L", "M", "S")),
    "convnext": ("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "LayerScale"),
    "densenet": ("DenseNet121", "DenseNet169", "DenseNet201"),
}

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        **{name: f"nyala.applications.{name}" for name in (*FAMILIES, "imagenet_utils")},
        **{network: f"nyala.applications.{family}:" for family, networks in FAMILIES.items() for network in networks},
    },
)
