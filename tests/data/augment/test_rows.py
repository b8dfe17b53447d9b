"""Changed copies of training rows: which cells change, how, and what goes along."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import Table, augment_rows, matching, with_more_rows
from polytask.data.augment import NumberNoise, Synonyms, TextDropout, TextSwap, WaveChange
from polytask.errors import SchemaError

KINDS = {"text": "text", "words": "tokens", "tags": "tokens", "x": "number", "wave": "audio"}


def make_table(rows=40):
    generator = np.random.default_rng(0)
    words = [[f"w{k}" for k in range(generator.integers(1, 12))] for _ in range(rows)]
    frame = pd.DataFrame({"text": [" ".join(each) for each in words]})
    frame["words"], frame["tags"] = (
        pd.Series(words, dtype=object),
        pd.Series([[w.upper() for w in each] for each in words], dtype=object),
    )
    frame["x"] = np.arange(rows) * 1.0
    frame["day"] = pd.to_timedelta(np.arange(rows), unit="D")
    frame["wave"] = pd.Series([generator.normal(size=200).astype(np.float32) for _ in range(rows)], dtype=object)
    frame["label"] = [f"l{k % 3}" for k in range(rows)]
    frame.loc[3, ["text", "x"]] = None
    return Table(frame, kinds=KINDS)


def copies(augmentation, rows=(0, 3, 5, 7), seed=0, **more):
    table = make_table()
    found = augment_rows(table, np.array(rows), [augmentation], np.random.default_rng(seed), **more)
    return table, found


def test_own_rows_come_first_and_what_is_not_named_stays():
    table, found = copies(NumberNoise(copies=3, columns=("x",)))
    assert found.num_rows == 16
    for k in range(4):
        own = found.frame.iloc[4 * k : 4 * k + 4]
        for name in ("text", "words", "tags", "label", "wave", "day"):
            assert list(own[name].map(str)) == list(table.frame[name].iloc[[0, 3, 5, 7]].map(str)), name
    assert found.frame["x"].iloc[:4].equals(table.frame["x"].iloc[[0, 3, 5, 7]].reset_index(drop=True))
    assert {name: found.kind(name) for name in KINDS} == KINDS
    changed = found.frame["x"].iloc[4:].to_numpy()
    assert np.isnan(changed[1::4]).all(), "a missing cell stays missing"
    assert len(np.unique(changed[~np.isnan(changed)])) == 9


def test_noise_is_in_units_of_the_training_rows():
    table = make_table(300)
    found = augment_rows(
        table, np.arange(300), [NumberNoise(deviation=0.5, copies=9, columns=("x", "day"))], np.random.default_rng(0)
    )
    noise = found.frame["x"].iloc[300:].to_numpy() - np.tile(table.frame["x"].to_numpy(), 9)
    assert np.nanstd(noise) == pytest.approx(0.5 * np.nanstd(table.frame["x"]), rel=0.05)
    days = pd.to_timedelta(found.frame["day"].iloc[300:]) - pd.to_timedelta(np.tile(table.frame["day"].to_numpy(), 9))
    assert (days / pd.Timedelta(days=1)).std() == pytest.approx(0.5 * np.std(np.arange(300)), rel=0.05)


@pytest.mark.parametrize(
    "augmentation", [TextDropout(probability=0.4, copies=2), TextSwap(share=0.4, copies=2)], ids=["dropout", "swap"]
)
def test_words_that_go_or_move_take_their_tags_along(augmentation):
    table, found = copies(augmentation, rows=range(40), inputs=["words", "x"], along={"words": ["tags"]})
    changed = 0
    for k in range(40, 120):
        words, tags = found.frame["words"][k], found.frame["tags"][k]
        before = table.frame["words"][k % 40]
        assert tags == [word.upper() for word in words]
        assert words
        assert set(words) <= set(before)
        assert augmentation.name == "text_dropout" or sorted(words) == sorted(before)
        changed += words != before
        assert found.frame["text"][k] == table.frame["text"][k % 40] or k % 40 == 3
    assert changed > 40


def test_a_text_stays_a_text():
    table, found = copies(TextDropout(probability=0.5, columns=("text",)), rows=range(40))
    for k in range(40):
        if k != 3:
            before, after = table.frame["text"][k].split(), found.frame["text"][40 + k].split()
            assert after == [word for word in before if word in after]
            assert after
    assert found.frame["text"][43] is None or pd.isna(found.frame["text"][43])


def test_synonyms_are_those_of_the_list():
    table = Table(pd.DataFrame({"text": ["The good film, the Good one.", "bad"] * 200}), kinds={"text": "text"})
    augmentation = Synonyms(words={"good": ["fine", "nice"], "film": ["movie"]}, probability=0.5)
    found = augment_rows(table, np.arange(400), [augmentation], np.random.default_rng(0)).frame["text"].iloc[400:]
    assert set(found[1::2]) == {"bad"}
    expected = {
        f"The {a} {b}, the {c} one."
        for a in ("good", "fine", "nice")
        for b in ("film", "movie")
        for c in ("Good", "Fine", "Nice")
    }
    assert set(found[::2]) == expected


def test_a_wave_is_moved_scaled_and_noisy():
    wave = np.sin(np.arange(1000) / 5)
    generator = np.random.default_rng(0)
    still = WaveChange(shift=0.0, gain=(6.0, 6.0), noise=None)
    np.testing.assert_allclose(still.changed(wave, "", "w", generator)[0], wave * 10**0.3)
    moved = WaveChange(shift=0.5, gain=(0.0, 0.0), noise=None).changed(wave + 5, "", "w", generator)[0]
    assert (moved == 0).sum() > 10
    kept = moved[moved != 0]
    assert np.abs(np.lib.stride_tricks.sliding_window_view(wave + 5, len(kept)) - kept).sum(axis=1).min() < 1e-9
    noisy = WaveChange(shift=0.0, gain=(0.0, 0.0), noise=(10.0, 10.0)).changed(wave, "", "w", generator)[0]
    ratio = 10 * np.log10(np.mean(wave**2) / np.mean((noisy - wave) ** 2))
    assert ratio == pytest.approx(10, abs=0.5)
    whole = WaveChange(gain=(20.0, 20.0), noise=None).changed(np.full(9, 20000, dtype=np.int16), "", "w", generator)[0]
    assert whole.dtype == np.int16
    assert whole.max() == 32767
    _, found = copies(WaveChange())
    assert found.frame["wave"][4].shape == (200,)
    assert found.frame["wave"][4].dtype == np.float32


def test_the_same_generator_gives_the_same_copies():
    for augmentation in (TextDropout(), NumberNoise(columns=("x",)), WaveChange()):
        assert copies(augmentation)[1].fingerprint() == copies(augmentation)[1].fingerprint()


@pytest.mark.parametrize("augmentations", [[], [NumberNoise(columns=("x",))]])
def test_a_small_table_matches_a_large_one(augmentations):
    assert matching({"a": 100, "b": 40}, 0.9) == {"a": 0, "b": 50}
    assert matching({"a": 100, "b": 40}, 0.3) == {"a": 0, "b": 0}
    table = make_table(40)
    found = with_more_rows(table, 50, augmentations, np.random.default_rng(0), inputs=["x"])
    assert found.num_rows == 90
    if not augmentations:
        times = found.frame["text"].fillna("").value_counts()
        counts = found.frame["x"].value_counts()
        assert set(counts) == {2, 3}, "every row as often as any other, or once more"
        assert times.sum() == 90
    else:
        assert found.frame["x"].iloc[40:].nunique() >= 48


def test_augmentations_that_match_take_turns():
    table = make_table(10)
    both = [NumberNoise(columns=("x",)), TextDropout(probability=0.9, columns=("words",))]
    found = with_more_rows(table, 20, both, np.random.default_rng(0), inputs=["x", "words"]).frame
    is_noisy = ~found["x"].isin(table.frame["x"])
    is_short = ~found["words"].map(tuple).isin([tuple(each) for each in table.frame["words"]])
    assert not (is_noisy & is_short).any()
    assert is_noisy.iloc[10:20].sum() == 9, "the row without a number stays"
    assert not is_noisy.iloc[20:].any()
    assert is_short.iloc[20:].any()


def test_sentences():
    table = make_table()
    for augmentation, sentence in (
        (Synonyms(words={"a": ["b"]}, columns=("x",)), "synonyms: 'x' is no text or tokens column"),
        (NumberNoise(columns=("y",)), "number_noise: 'y' is no number column; known: day, x"),
    ):
        with pytest.raises(ValueError, match=sentence):
            augment_rows(table, np.arange(3), [augmentation], np.random.default_rng(0))
    with pytest.raises(ValueError, match="there is no audio or sequence column among the inputs"):
        augment_rows(table, np.arange(3), [WaveChange()], np.random.default_rng(0), inputs=["x"])
    with pytest.raises(ValueError, match="text_dropout: copies=0, a number of copies from 1"):
        TextDropout(copies=0)
    with pytest.raises(ValueError, match="words has no synonym of 'good'"):
        Synonyms(words={"good": []})
    files = Table(pd.DataFrame({"wave": ["a.wav", "b.wav"]}))
    with pytest.raises(SchemaError, match="column 'wave', row 1: a str is no recording that can be changed"):
        augment_rows(files, np.array([1]), [WaveChange()], np.random.default_rng(0))
