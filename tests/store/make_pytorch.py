"""Makes the files in fixtures/pytorch with PyTorch itself: `python make_pytorch.py`."""

from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent / "fixtures" / "pytorch"


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential()
    model.add_module("conv", torch.nn.Conv2d(3, 4, (2, 3), bias=False))
    model.add_module("depthwise", torch.nn.Conv2d(4, 8, 3, groups=4))
    model.add_module("bn", torch.nn.BatchNorm2d(8))
    model.add_module("fc", torch.nn.Linear(8, 5))
    with torch.no_grad():
        model.bn.running_mean.uniform_(-1, 1)
        model.bn.running_var.uniform_(1, 2)
    state = model.state_dict()
    FOLDER.mkdir(exist_ok=True)
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)
    # As training scripts write them: nested, from DataParallel, in half the precision, one tensor a view.
    half = {f"module.{name}": t.bfloat16() if t.is_floating_point() else t for name, t in state.items()}
    half["module.fc.weight"] = state["fc.weight"].t().contiguous().t()
    torch.save({"epoch": 3, "lr": 0.1, "state_dict": half}, FOLDER / "nested.pth")
    torch.save(model, FOLDER / "model.pth")
    arrays = {name: t.numpy() for name, t in state.items() if t.is_floating_point()}
    model.eval()
    images = torch.randn(2, 3, 6, 7)
    maps = model.bn(model.depthwise(model.conv(images)))
    logits = model.fc(maps.mean(dim=(2, 3)))
    np.savez(FOLDER / "reference.npz", images=images.numpy(), logits=logits.detach().numpy(), **arrays)


if __name__ == "__main__":
    main()
