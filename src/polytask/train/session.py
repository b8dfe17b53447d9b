"""One training in progress: everything that changes while it runs, and how that is saved and restored."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from polytask.balance import Balancer, Processes
from polytask.data import Examples, JudgedExamples
from polytask.model import Model, seed_of
from polytask.random_state import random_state, restore_random_state
from polytask.tasks import Fitted, Task
from polytask.train.agenda import Agenda, Joint
from polytask.train.distributed import ALONE, Team
from polytask.train.mean_teacher import NONE, AveragedTeacher, Teacher, compared
from polytask.train.optimizers import check_balancer, make_optimizer, make_schedule
from polytask.train.selection import Selection
from polytask.train.settings import Training
from polytask.train.totals import Totals


@dataclass
class TrainingData:
    """Encoded rows of every table, on the training device.

    Attributes:
        training: table name -> training rows.
        validation: table name -> validation rows.
        tasks: all tasks by name.
        fitted: what each task learnt.
    """

    training: Mapping[str, Examples]
    validation: Mapping[str, JudgedExamples]
    tasks: Mapping[str, Task]
    fitted: Mapping[str, Fitted]


class Session:
    """A training in progress.

    Args:
        model: on the training device.
        data: on the training device.
        balancer: who yields.
        agenda: which tasks train when.
        settings: of the training.
        team: the processes that train together, each with all of this but its own part of every batch.
    """

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        balancer: Balancer,
        agenda: Agenda,
        settings: Training,
        team: Team = ALONE,
    ) -> None:
        self.model, self.data, self.balancer = model, data, balancer
        self.agenda, self.settings = agenda, settings
        self.shared = list(model.shared_parameters())
        check_balancer(settings, type(balancer), team.size)
        self.optimizer = make_optimizer(
            (p for p in model.parameters() if p.requires_grad),
            settings,
            undecayed=model.sharing.undecayed_parameters(),
            rates=model.sharing.rates(),
            shared=self.shared,
            tasks=list(data.tasks),
            engine=balancer.engine,
        )
        self.schedule = make_schedule(self.optimizer, settings, agenda.steps_per_epoch)
        self.selection = Selection(list(data.tasks), settings.early_stopping)
        self.average = _average(model, settings)
        self.compared = {} if settings.mean_teacher is None else compared(data.tasks, data.fitted)
        #: Batches of the validation rows, for a balancer that looks ahead.
        self.ahead = _validation_batches(data, agenda) if balancer.looks_ahead else None
        self.team = team
        #: Who takes every step together; None for one process alone.
        self.processes = Processes(model.parameters(), list(data.tasks)) if team.size > 1 else None
        for walk in (agenda, self.ahead):
            if walk is not None:
                walk.divide(team.part)
        for stream in agenda.streams.values():
            stream.has_second_view = settings.mean_teacher is not None
        self.epoch = 0
        self.step = 0
        self.totals = Totals(data.tasks)
        self.cosines: dict[str, float] = {}
        self.scores: dict[str, float] = {}
        self.history_bytes = 0
        #: Names of best weights that no checkpoint holds yet.
        self.unsaved: set[str] = set()
        self.is_over = False

    @property
    def judged(self) -> Model:
        """The model that validation judges and the Run keeps: the average where there is one."""
        return self.model if self.average is None else cast(Model, self.average.module)

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for the forward pass, where it was asked for."""
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(next(self.model.parameters()).device.type, dtype=torch.bfloat16)

    def clip(self) -> Callable[[Iterable[nn.Parameter]], None] | None:
        """Cuts gradients by value, then by norm; None where neither was asked for."""
        value, norm = self.settings.clip_value, self.settings.clip_norm
        if value is None and norm is None:
            return None

        def cut(parameters: Iterable[nn.Parameter]) -> None:
            held = [p for p in parameters if p.grad is not None]
            if value is not None:
                nn.utils.clip_grad_value_(held, value)
            if norm is not None:
                nn.utils.clip_grad_norm_(held, norm)

        return cut

    def teacher(self) -> Teacher:
        """Who this step's outputs are compared with: the average, where there is a mean teacher."""
        mean_teacher, average = self.settings.mean_teacher, self.average
        if mean_teacher is None or average is None:
            return NONE
        done = (self.epoch + self.step / self.agenda.steps_per_epoch) / self.settings.epochs
        weight = mean_teacher.weight_at(done)
        return AveragedTeacher(cast(Model, average.module), self.compared, weight, self.autocast)

    def draw_apart(self) -> None:
        """Of several processes, each draws its own dropout masks, the same ones whenever it takes this step."""
        if self.team.size > 1:
            seed = next(iter(self.agenda.streams.values())).seed
            self.team.draw_apart(seed, self.epoch, self.step)

    def after_step(self) -> None:
        """Moves the average and a per-step learning rate."""
        if self.average is not None:
            self.average.update_parameters(self.model)
        if self.schedule is not None and not isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step()

    def state(self) -> dict[str, Any]:
        """Everything that training from here depends on but the data and the settings."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "history_bytes": self.history_bytes,
            "is_over": self.is_over,
            "threads": torch.get_num_threads(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "balancer": self.balancer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "agenda": self.agenda.state(),
            "ahead": None if self.ahead is None else self.ahead.state(),
            "selection": self.selection.state(),
            "totals": vars(self.totals),
            "cosines": self.cosines,
            "scores": self.scores,
            "random": random_state(),
        }

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Sets everything that `state` saved; the next step is the one that would have followed."""
        for name in ("epoch", "step", "history_bytes", "is_over"):
            setattr(self, name, state[name])
        torch.set_num_threads(state["threads"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.balancer.load_state_dict(state["balancer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.agenda.restore(state["agenda"])
        if self.ahead is not None:
            self.ahead.restore(state["ahead"])
        self.selection.restore(state["selection"], weights)
        device = next(self.model.parameters()).device
        for name, value in state["totals"].items():
            setattr(self.totals, name, value)
        self.totals.losses = {n: v if v is None else v.to(device) for n, v in self.totals.losses.items()}
        for name in ("penalty", "consistency"):
            value = getattr(self.totals, name)
            setattr(self.totals, name, None if value is None else value.to(device))
        self.cosines, self.scores = dict(state["cosines"]), dict(state["scores"])
        restore_random_state(state["random"])


def _average(model: Model, settings: Training) -> AveragedModel | None:
    """The moving average of the weights, for those that want one."""
    if settings.mean_teacher is not None:
        return AveragedModel(model, multi_avg_fn=settings.mean_teacher.average, use_buffers=True)
    if settings.ema is not None:
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True)
    return None


def _validation_batches(data: TrainingData, agenda: Agenda) -> Joint:
    """A batch of every table's validation rows at a time, as large as training's, in an order of their own."""
    streams = list(agenda.streams.values())
    return Joint(data.validation, max(s.batch_size for s in streams), seed_of(streams[0].seed, "validation"))
