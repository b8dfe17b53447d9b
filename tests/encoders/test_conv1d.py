"""Conv1d: a feature for every place, whatever the padding."""

import pytest
import torch

from polytask.encoders import ENCODERS, Conv1d, Fusion, default_encoder
from polytask.feature import InputSpec, SequenceSpec, mask_of

TOKENS = InputSpec(sequences={"words": SequenceSpec(num_codes=20)})


def inputs_of(rows, length):
    codes = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for k, row in enumerate(rows):
        codes[k, : len(row)], mask[k, : len(row)] = torch.tensor(row, dtype=torch.long), True
    return {"words": codes, mask_of("words"): mask}


def test_padding_changes_nothing():
    encoder = Conv1d(TOKENS, widths=(8, 8), embedding=4).eval()
    short, long = (encoder(inputs_of([[2, 3, 4], [5], []], length))[-1] for length in (3, 9))
    assert torch.allclose(short.values, long.values[:, :3], atol=1e-6)
    assert torch.allclose(short.pooled(), long.pooled(), atol=1e-6)
    assert (long.values[:, 3:] == 0).all()
    assert (short.pooled()[2] == 0).all()


def test_a_series_of_numbers_is_read():
    spec = InputSpec(sequences={"past": SequenceSpec(channels=3)})
    assert Conv1d(spec, widths=(8,), embedding=4).kinds() == ("sequence", "sequence")
    assert default_encoder(spec) == "conv1d"


def test_fusion_joins_sequences_with_the_rest():
    spec = TOKENS + InputSpec(numbers=("n",), vectors={"v": 3})
    assert default_encoder(spec) == "fusion"
    encoder = Fusion(spec, table={"mlp": {"widths": [4]}}, sequences={"conv1d": {"widths": [6]}}, widths=(5,))
    assert encoder.widths == (10, 5)
    assert encoder.kinds() == ("vector", "vector")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (InputSpec(), "reads one sequence column alone, but there is no input column left"),
        (TOKENS + InputSpec(numbers=("n",)), r"there is sequence 'words' and a table \('n'\); encoder 'fusion'"),
    ],
)
def test_other_columns_are_refused(spec, sentence):
    with pytest.raises(ValueError, match=sentence):
        Conv1d(spec)


def test_a_tables_encoder_names_what_reads_a_sequence():
    with pytest.raises(ValueError, match="there is sequence 'words'; encoder 'conv1d' would work"):
        ENCODERS["mlp"](TOKENS)
    with pytest.raises(ValueError, match="an odd number of places >= 1, got 4"):
        Conv1d(TOKENS, kernel=4)
