"""The peers of the benchmarks, LibMTL and TorchJD, each used as its documentation says; left out where not installed.

LibMTL's Trainer runs on cuda:0 only, so its model class is made as the Trainer makes it (architecture and weighting
together) and stepped as the Trainer steps it. Two things of its 1.1.5 do not run with today's torch and are put right
here: it imports torchvision.models.utils, which torchvision no longer has (an empty module stands in), and it takes
zero_grad to leave zeros (the shared parameters' is told to). Its CAGrad is written for three tasks and is left out.

TorchJD is used by autojac (mtl_backward, jac_to_grad with an aggregator) and by autogram (Engine.compute_gramian of the
losses with batch_dim=None, since a task's loss is a mean over the batch; a weighting; the losses' backward with its
weights, which scales heads too). Its NashMTL has no weighting, so it is there with autojac only.
"""

import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from stands import Entry, Setup, Stand

PACKAGES = {"libmtl": "LibMTL", "torchjd": "torchjd"}


def versions(packages: Mapping[str, str] = MappingProxyType(PACKAGES)) -> dict[str, str]:
    """Those of the peers that are installed."""
    found = {}
    for label, package in packages.items():
        try:
            found[label] = version(package)
        except PackageNotFoundError:
            continue
    return found


def entries() -> list[Entry]:
    """Every method that a peer shares with us."""
    installed = versions()
    return [
        *(libmtl_entries() if "libmtl" in installed else []),
        *(torchjd_entries() if "torchjd" in installed else []),
    ]


def missing(packages: Mapping[str, str] = MappingProxyType(PACKAGES)) -> list[str]:
    return sorted(set(packages) - set(versions(packages)))


def import_libmtl() -> ModuleType:
    """LibMTL, its import of torchvision answered with an empty module that is taken away again."""
    names = ("torchvision", "torchvision.models", "torchvision.models.utils")
    before = {name: sys.modules.get(name) for name in names}
    stubs = [ModuleType(name) for name in names]
    stubs[-1].load_state_dict_from_url = None  # of ResNets with given weights, which nobody makes here
    sys.modules.update(zip(names, stubs, strict=True))
    try:
        import LibMTL
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name)
            else:
                sys.modules[name] = module
    return LibMTL


class LibMTLStand(Stand):
    """A weighting of LibMTL with hard parameter sharing."""

    def __init__(self, setup: Setup, weighting: str, *, rep_grad: bool = False, **settings: Any) -> None:
        super().__init__(setup)
        library = import_libmtl()

        class Model(library.architecture.HPS, getattr(library.weighting, weighting)):
            def zero_grad_share_params(self) -> None:
                self.encoder.zero_grad(set_to_none=False)

        self.model = Model(self.names, lambda: self.trunk, self.heads, rep_grad, False, torch.device("cpu"))
        self.model.init_param()
        known = {id(p) for p in [*self.trunk.parameters(), *self.heads.parameters()]}
        self.optimizer = self.make_optimizer(*(p for p in self.model.parameters() if id(p) not in known))
        self.settings = settings

    def backward(self, x: Tensor, y: Tensor) -> None:
        outputs = self.model(x)
        losses = torch.zeros(len(self.names))
        for k, name in enumerate(self.names):
            losses[k] = mse_loss(outputs[name].squeeze(1), y[:, k])
        self.model.backward(losses, **self.settings)


def libmtl_entries() -> list[Entry]:
    makers = {
        ("uncertainty", "losses"): partial(LibMTLStand, weighting="UW"),
        ("pcgrad", "exact"): partial(LibMTLStand, weighting="PCGrad"),
        ("mgda", "exact"): partial(LibMTLStand, weighting="MGDA", mgda_gn="none"),
        ("imtl", "exact"): partial(LibMTLStand, weighting="IMTL"),
        ("mgda", "representation"): partial(LibMTLStand, weighting="MGDA", mgda_gn="none", rep_grad=True),
        ("imtl", "representation"): partial(LibMTLStand, weighting="IMTL", rep_grad=True),
    }
    return [Entry("libmtl", method, way, make) for (method, way), make in makers.items()]


class AutojacStand(Stand):
    """An aggregator of TorchJD on the Jacobian."""

    def __init__(self, setup: Setup, aggregator: str, **settings: Any) -> None:
        super().__init__(setup)
        from torchjd import aggregation, autojac

        if aggregator == "NashMTL":
            settings["n_tasks"] = setup.tasks
        self.autojac, self.aggregator = autojac, getattr(aggregation, aggregator)(**settings)

    def backward(self, x: Tensor, y: Tensor) -> None:
        features = self.trunk(x)
        self.autojac.mtl_backward(list(self.losses(features, y).values()), features=features)
        self.autojac.jac_to_grad(self.trunk.parameters(), self.aggregator)


class AutogramStand(Stand):
    """A weighting of TorchJD on the Gramian."""

    def __init__(self, setup: Setup, weighting: str, **settings: Any) -> None:
        super().__init__(setup)
        from torchjd import aggregation, autogram

        self.engine = autogram.Engine(self.trunk, batch_dim=None)
        self.weighting = getattr(aggregation, weighting)(**settings)

    def backward(self, x: Tensor, y: Tensor) -> None:
        losses = torch.stack(list(self.losses(self.trunk(x), y).values()))
        losses.backward(self.weighting(self.engine.compute_gramian(losses)))


class ScalarizerStand(Stand):
    """A scalarizer of TorchJD on the losses."""

    def __init__(self, setup: Setup, scalarizer: str) -> None:
        super().__init__(setup)
        from torchjd import scalarization

        self.scalarizer = getattr(scalarization, scalarizer)(setup.tasks)
        self.looks_again = hasattr(self.scalarizer, "update")
        if not self.looks_again:
            self.optimizer = self.make_optimizer(*self.scalarizer.parameters())

    def backward(self, x: Tensor, y: Tensor) -> None:
        self.scalarizer(torch.stack(list(self.losses(self.trunk(x), y).values()))).backward()

    def after(self, x: Tensor, y: Tensor) -> None:
        if self.looks_again:
            with torch.no_grad():
                self.scalarizer.update(torch.stack(list(self.losses(self.trunk(x), y).values())))


def torchjd_entries() -> list[Entry]:
    aggregators: dict[str, tuple[str, dict[str, Any]]] = {
        "pcgrad": ("PCGrad", {}),
        "mgda": ("MGDA", {}),
        "cagrad": ("CAGrad", {"c": 0.4}),
        "nash_mtl": ("NashMTL", {}),
        "upgrad": ("UPGrad", {}),
        "imtl_g": ("IMTLG", {}),
        "aligned_mtl": ("AlignedMTL", {}),
    }
    found = [
        Entry("torchjd autojac", method, "exact", partial(AutojacStand, aggregator=name, **settings))
        for method, (name, settings) in aggregators.items()
    ]
    found += [
        Entry("torchjd autogram", method, "exact", partial(AutogramStand, weighting=f"{name}Weighting", **settings))
        for method, (name, settings) in aggregators.items()
        if method != "nash_mtl"
    ]
    return [
        *found,
        Entry("torchjd", "uncertainty", "losses", partial(ScalarizerStand, scalarizer="UW")),
        Entry("torchjd", "famo", "probe", partial(ScalarizerStand, scalarizer="FAMO")),
    ]
