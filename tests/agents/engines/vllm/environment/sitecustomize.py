"""On the path of vLLM's processes: lets a CUDA build of torchvision be imported beside a CPU torch.

Its compiled operators cannot be loaded there, and `import torchvision` fails when it registers
stand-ins for two of them. Declaring both is enough: what Qwen2.5-VL's processor uses is Python. It
costs nothing until torchvision is imported, and is for tests only.
"""

import importlib.abc
import sys


class _Declare(importlib.abc.MetaPathFinder):
    library = None

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision" and _Declare.library is None:
            import torch

            if not torch.version.cuda:
                _Declare.library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in ("nms", "qnms"):
                    _Declare.library.define(
                        f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                    )
        return


sys.meta_path.insert(0, _Declare())
