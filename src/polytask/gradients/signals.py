"""What a balancer may look at in one step."""

from collections.abc import Callable, Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor

from polytask.gradients.probe import Probe


class Signals:
    """The step as a balancer sees it: the tasks present only, and no more than it declared to read.

    `names`, `index`, `step`, `epoch`, `scores` and `preference` cost nothing and are open to all. The others belong to
    the method's `reads`; what is costly is computed when it is first read.

    Args:
        names: the tasks present.
        index: where each of them stands in the balancer's `[tasks]` state.
        step: how many steps the balancer has seen before this one.
        epoch: counted by the caller; None where nobody counts.
        scores: last validation skill, NaN before the first.
        reads: what the method declares: "losses", "gramian", "jacobian", "probe".
        losses: detached, float64.
        gramian: computes G of the present tasks' gradients on the shared parameters.
        jacobian: computes these gradients.
        sizes: coordinates of each shared parameter, in the order in which J has them.
        probe: looks at the step's losses from elsewhere.
        preference: shares of the tasks present in what the network of this step was told to prefer, float64, summing
            to 1; None where it was told nothing.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        index: Int[Tensor, " present"],
        step: int,
        epoch: int | None,
        scores: Float[Tensor, " present"],
        reads: frozenset[str],
        losses: Float[Tensor, " present"],
        gramian: Callable[[], Float[Tensor, "present present"]],
        jacobian: Callable[[], Float[Tensor, "present params"]] | None = None,
        sizes: Callable[[], Sequence[int]] | None = None,
        probe: Probe | None = None,
        preference: Float[Tensor, " present"] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.index = index
        self.step = step
        self.epoch = epoch
        self.scores = scores
        self._reads = reads
        self._losses = losses
        self._compute_gramian = gramian
        self._gramian: Tensor | None = None
        self._compute_jacobian = jacobian
        self._jacobian: Tensor | None = None
        self._compute_sizes = sizes
        self._probe = probe
        self.preference = preference

    @property
    def losses(self) -> Float[Tensor, " present"]:
        """Mean loss of each present task."""
        self._check("losses")
        return self._losses

    @property
    def gramian(self) -> Float[Tensor, "present present"]:
        """G = J Jᵀ over the shared parameters, float64 on the CPU.

        Raises:
            ValueError: a task's gradient is not finite.
        """
        self._check("gramian")
        if self._gramian is None:
            gramian = self._compute_gramian()
            check_finite(gramian, self.names)
            self._gramian = gramian
        return self._gramian

    @property
    def jacobian(self) -> Float[Tensor, "present params"]:
        """J, one row a present task over the shared parameters, at least float32, where the parameters are; a row is
        zero where its task does not reach a parameter. Not to be written to.

        Raises:
            ValueError: a task's gradient is not finite.
        """
        self._check("jacobian")
        if self._jacobian is None:
            assert self._compute_jacobian is not None, "a step gives J to a method that declares it"
            jacobian = self._compute_jacobian()
            check_rows_finite(jacobian, self.names)
            self._jacobian = jacobian
        return self._jacobian

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many coordinates of J belong to each shared parameter."""
        self._check("jacobian")
        assert self._compute_sizes is not None, "a step gives J to a method that declares it"
        return tuple(self._compute_sizes())

    @property
    def probe(self) -> Probe:
        """Computes the step's losses from elsewhere, and those of a validation batch.

        Raises:
            ValueError: the step was given none.
        """
        self._check("probe")
        if self._probe is None:
            raise ValueError(
                "this balancer looks ahead: make a Probe before the forward pass and hand it over, "
                "backward(losses, shared=…, probe=Probe(model, losses=…, validation=…, learning_rate=…))"
            )
        return self._probe

    def _check(self, what: str) -> None:
        if what not in self._reads:
            declared = ", ".join(sorted(self._reads)) or "nothing"
            raise AttributeError(f"this balancer reads {what!r} but declares {declared}: add {what!r} to its `reads`")


def check_finite(gramian: Float[Tensor, "present present"], names: Sequence[str]) -> None:
    """Raises ValueError that names the first task whose gradient is not finite (or has no finite square)."""
    _name_the_first(gramian.diagonal().isfinite(), names)


def check_rows_finite(jacobian: Float[Tensor, "present params"], names: Sequence[str]) -> None:
    """As `check_finite`, of the rows themselves."""
    _name_the_first(jacobian.isfinite().all(dim=1), names)


def _name_the_first(is_finite: Bool[Tensor, " present"], names: Sequence[str]) -> None:
    for name, is_fine in zip(names, is_finite.tolist(), strict=True):
        if not is_fine:
            raise ValueError(
                f"task {name!r}: its gradient on the shared parameters is not finite: "
                "lower the learning rate, or look at operations like sqrt and log at 0"
            )
