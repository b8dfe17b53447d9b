"""The nets that a study trains: candidates, twins and companions, checked against the data; and their parameters."""

from collections.abc import Mapping
from dataclasses import replace

from polytask.config import Choice
from polytask.data import fit_task
from polytask.encoders import ENCODERS, Encoder, default_encoder
from polytask.errors import ConfigError
from polytask.experiment import ALL, Experiment, make_blueprint
from polytask.feature import InputSpec
from polytask.model import count_parameters
from polytask.studies.capacity import check_scales, scaled_to
from polytask.studies.data import POOLED, StudyData, View, pooled_experiment
from polytask.studies.plan import (
    CANDIDATE,
    COMPANION,
    Unit,
    candidate_units,
    check_labels,
    placebo_units,
    twin_of,
    twin_units,
)
from polytask.studies.settings import StudySettings


def first_units(candidates: Mapping[str, Experiment], settings: StudySettings, data: StudyData) -> list[Unit]:
    """Candidates, their twins, and a pooled model where it was asked for.

    Raises:
        ConfigError: settings of a candidate that do not fit the inputs, or a companion that cannot be.
        SchemaError: a task without a label among training or validation rows.
    """
    check_labels(data)
    found = candidate_units(candidates, data)
    twins = twin_units(found, data)
    if "pooled" in settings.companions:
        first = found[0]
        alone = twin_of(first.experiment, data.tasks[0], data)
        train = replace(alone.train, batch_size=first.experiment.train.batch_size)
        experiment = pooled_experiment(replace(alone, train=train), data.tasks, data.tables)
        found.append(Unit(POOLED, COMPANION, View("pooled"), experiment, tuple(candidates)))
        _check_pooled(found[-1], data)
    if not any(shares(unit, data) for unit in found if unit.role == CANDIDATE):
        raise ConfigError(
            "study.candidates: none of them shares a parameter between tasks, so there is no sharing to judge; "
            "name one that does, as {sharing: hard}"
        )
    for unit in (*found, *twins):
        parameters_of(unit, data)
        if "equal_parameters" in settings.companions:
            check_scales(*encoder_of(unit, data))  # refused now, and not when all is trained
    return found + twins


def companion_units(chosen: Unit, settings: StudySettings, data: StudyData) -> list[Unit]:
    """What is compared with the chosen candidate on request.

    Raises:
        ConfigError: an encoder without widths.
    """
    found = []
    if "placebo" in settings.companions:
        found += placebo_units(chosen, data)
    if "equal_parameters" in settings.companions:
        found += equal_parameter_units(chosen, data)
    return found


def equal_parameter_units(chosen: Unit, data: StudyData) -> list[Unit]:
    """The single-task twins with their widths scaled, so that all together have the candidate's parameters.

    Raises:
        ConfigError: an encoder without widths.
    """
    wanted = parameters_of(chosen, data)[0]
    twins = twin_units([chosen], data)
    encoder, spec = encoder_of(chosen, data)

    def count(choice: Choice[Encoder]) -> int:
        units = [replace(unit, experiment=replace(unit.experiment, encoder=choice)) for unit in twins]
        return sum(parameters_of(unit, data)[0] for unit in units)

    found = scaled_to(encoder, spec, count, wanted)
    arm = "twins of equal parameters"
    return [
        replace(u, arm=arm, role=COMPANION, experiment=replace(u.experiment, encoder=found), of=(chosen.arm,))
        for u in twins
    ]


def encoder_of(unit: Unit, data: StudyData) -> tuple[Choice[Encoder], InputSpec]:
    """The encoder of a net, chosen by its inputs where nobody chose it, and what it reads."""
    spec = data.view(unit.view, 0, unit.experiment, "")[1].preprocessor.spec
    return unit.experiment.encoder or Choice(ENCODERS[default_encoder(spec)]), spec


def shares(unit: Unit, data: StudyData) -> bool:
    """Whether at least two tasks have a parameter in common; a candidate without any is never the one judged."""
    return parameters_of(unit, data)[1] > 0


def _check_pooled(unit: Unit, data: StudyData) -> None:
    """Refuses a pooled model that knows other classes or labels than one of the tasks: it could not answer for it."""
    for split in range(len(data.splits)):
        sources, given = data.view(unit.view, split, unit.experiment, "")
        table = sources[ALL].table
        (pooled,) = unit.experiment.tasks
        theirs = fit_task(table, pooled, given.splits[ALL].rows("train"))
        for task in data.tasks:
            where = data.table_of(task.name)
            ours = fit_task(data.tables[where], task, data.splits[split][where].rows("train"))
            for key in ("classes", "labels"):
                if theirs.get(key) != ours.get(key):
                    raise ConfigError(
                        f"study.companions: pooled wants tasks of the same {key}; {task.name!r} has {ours.get(key)}, "
                        f"all tables together have {theirs.get(key)}"
                    )


def parameters_of(unit: Unit, data: StudyData) -> tuple[int, int]:
    """How many parameters a net has, and how many of them at least two tasks share.

    Raises:
        ConfigError: settings that do not fit the inputs.
    """
    sources, given = data.view(unit.view, 0, unit.experiment, "")
    fitted = {
        task.name: fit_task(source.table, task, given.splits[where].rows("train"))
        for where, source in sources.items()
        for task in source.tasks
    }
    names = [[task.name for task in source.tasks] for source in sources.values()]
    model = make_blueprint(unit.experiment, fitted, given.preprocessor.spec, names).build()
    return count_parameters(model.parameters()), count_parameters(model.shared_parameters())
