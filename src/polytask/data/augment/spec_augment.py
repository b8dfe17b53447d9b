"""Spectrograms with bands of time and frequency hidden."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import BatchAugmentation, Scales, checked, chosen_columns, lengths_in
from polytask.data.augment.geometric import with_inputs
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task


class SpecAugment(BatchAugmentation):
    """SpecAugment: hides bands of a spectrogram, each as wide as a uniform share up to the largest.

    Of a picture, width is time and height is frequency; of a sequence of vectors, places are time and the numbers at a
    place frequency. What is hidden becomes 0, the mean of normalised spectrograms.

    Args:
        time: the widest band of time, as a share of the row's own length, in [0, 1].
        frequency: the widest band of frequency, as a share, in [0, 1]; the paper's 27 of 80 is 0.34.
        num_times: how many bands of time, from 0.
        num_frequencies: how many bands of frequency, from 0.
        columns: the columns that change; where not given all sequences of vectors, or all pictures where there is none.

    Deviates: the spectrogram is not warped in time, which gave the paper the least and costs the most.

    Paper: Park, Chan, Zhang, Chiu, Zoph, Cubuk, Le: SpecAugment: A Simple Data Augmentation Method for Automatic Speech
        Recognition, Interspeech 2019, arXiv 1904.08779.
    """

    name: ClassVar[str] = "spec_augment"
    paper: ClassVar[str] = "park2019"
    use_when: ClassVar[str] = "log-mel or MFCC over time"

    def __init__(
        self,
        *,
        time: float = 0.2,
        frequency: float = 0.3,
        num_times: int = 1,
        num_frequencies: int = 1,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.time = checked(self.name, "time", time)
        self.frequency = checked(self.name, "frequency", frequency)
        self.num_times = int(checked(self.name, "num_times", num_times, 0, 1000))
        self.num_frequencies = int(checked(self.name, "num_frequencies", num_frequencies, 0, 1000))
        self.columns = columns
        if not (time and num_times) and not (frequency and num_frequencies):
            raise ValueError(f"augmentation {self.name}: no band is hidden; set time or frequency above 0")

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        series = [name for name, each in spec.sequences.items() if each.channels > 1]
        known = [*series, *spec.images] if self.columns is not None or not series else series
        self._chosen = chosen_columns(self.name, self.columns, known, "spectrogram (picture, or sequence of vectors)")
        self._is_picture = {name: name in spec.images for name in self._chosen}

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        inputs = dict(batch.inputs)
        for name in self._chosen:
            values = inputs[name]
            times, frequencies = (values.shape[3], values.shape[2]) if self._is_picture[name] else values.shape[1:]
            rows = torch.full((len(values),), times) if self._is_picture[name] else lengths_in(batch, name).cpu()
            of_time = _bands(rows, times, self.time, self.num_times, generator)
            height = torch.full((len(values),), frequencies)
            of_frequency = _bands(height, frequencies, self.frequency, self.num_frequencies, generator)
            if self._is_picture[name]:
                hidden = of_time[:, None, None, :] | of_frequency[:, None, :, None]
            else:
                hidden = of_time[:, :, None] | of_frequency[:, None, :]
            inputs[name] = values.masked_fill(hidden.to(values.device), 0.0)
        return with_inputs(batch, inputs)


def _bands(lengths: Tensor, longest: int, share: float, num_bands: int, generator: torch.Generator) -> Tensor:
    """Where `num_bands` bands a row lie: width u·share·length, anywhere within the length; bool `[rows, longest]`."""
    width, start = torch.rand(2, len(lengths), num_bands, 1, generator=generator)
    length = lengths.reshape(-1, 1, 1)
    width = (width * share * (length + 1)).floor().minimum(length * share)
    start = (start * (length - width + 1)).floor()
    place = torch.arange(longest)
    return ((place >= start) & (place < start + width)).any(dim=1)
