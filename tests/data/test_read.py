"""Reading files: what comes back, and one sentence for each way a file is broken."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from polytask.data import read
from polytask.errors import SchemaError

FRAME = pd.DataFrame({"n": [1.5, None, 3.0], "s": ["a", "b", None], "i": [1, 2, 3]})


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def parquet_bytes(tmp_path):
    FRAME.to_parquet(tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "parquet", "feather", "arrow", "jsonl", "ndjson"])
def test_every_format_gives_the_same_cells(tmp_path, ending):
    path = tmp_path / f"data.{ending}"
    if ending.startswith(("csv", "tsv")):
        FRAME.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    elif ending == "parquet":
        FRAME.to_parquet(path)
    elif ending == "feather":
        FRAME.to_feather(path)
    elif ending == "arrow":
        arrow = pa.Table.from_pandas(FRAME)
        with pa.ipc.new_stream(str(path), arrow.schema) as stream:
            stream.write_table(arrow)
    else:
        write(path, FRAME.to_json(orient="records", lines=True))
    table = read(path)
    assert table.columns == ("n", "s", "i")
    assert table.mask("n").tolist() == [True, False, True]
    assert table.mask("s").tolist() == [True, True, False]
    assert table.values("i").tolist() == [1, 2, 3]
    assert table.source == path


def test_a_folder_of_parquet_is_read_in_order_with_its_partitions(tmp_path):
    for year in (2024, 2023):
        (tmp_path / f"year={year}").mkdir()
        pd.DataFrame({"x": [year, year + 0.5]}).to_parquet(tmp_path / f"year={year}" / "part.parquet")
    (tmp_path / "_SUCCESS").touch()
    table = read(tmp_path)
    assert table.values("year").tolist() == [2023, 2023, 2024, 2024]
    assert table.values("x").tolist() == [2023, 2023.5, 2024, 2024.5]


def test_a_written_index_comes_back_by_its_name_only(tmp_path):
    FRAME.set_index("s").to_parquet(tmp_path / "named.parquet")
    FRAME.iloc[[2, 0]].to_parquet(tmp_path / "unnamed.parquet")
    assert "s" in read(tmp_path / "named.parquet").columns
    assert read(tmp_path / "unnamed.parquet").columns == ("n", "s", "i")


def test_csv_details(tmp_path):
    assert read(write(tmp_path / "bom.csv", "\ufeffa,b\n1,2\n")).columns == ("a", "b")
    assert read(write(tmp_path / "semicolon.csv", "a;b\n1;2\n")).columns == ("a", "b")
    quoted = read(write(tmp_path / "quoted.csv", 'a,b\n"x\ny, z",2\n'))
    assert quoted.values("a").tolist() == ["x\ny, z"]
    index = read(write(tmp_path / "index.csv", ",a\n0,1\n"))
    assert index.kind("Unnamed: 0") == "id"


def test_json_columns_of_mixed_or_nested_cells(tmp_path):
    lines = '{"a": 1, "l": ["x"]}\n\n{"a": "two", "b": 9007199254740993}\n{"l": []}\n'
    table = read(write(tmp_path / "a.jsonl", lines))
    assert table.num_rows == 3
    assert table.values("b")[1] == 9007199254740993
    assert table.mask("l").tolist() == [True, False, True]
    assert table.values("a").tolist()[:2] == [1, "two"]


def test_kinds_are_passed_on(tmp_path):
    assert read(write(tmp_path / "a.csv", "zip\n1\n2\n"), kinds={"zip": "category"}).kind("zip") == "category"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", "", r"empty \(0 bytes\)"),
        ("a.csv", "\n\n", "the file is empty"),
        ("a.csv", "a,b\n", "0 rows"),
        ("a.csv", "a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
        ("a.csv", "a,b\n1,2\n3,4,5\n", "line 3: 3 fields"),
        ("a.csv", 'a,b\n"x\ny",1\n2,3,4\n', "line 4: 3 fields"),
        ("a.csv", "a,b,a\n1,2,3\n", "'a' stands 2 times in the header"),
        ("a.csv", "a,b\nx,é\n".encode("latin-1"), r"line 2: is not UTF-8 \(byte 6 is 0xe9"),
        ("a.csv", "a,b\nx,1\n".encode("utf-16"), "UTF-16"),
        ("a.csv.gz", b"a,b\n1,2\n", "broken gzip"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:20], "broken gzip"),
        ("a.parquet", b"PAR1 is how it starts", "broken Parquet"),
        ("a.feather", b"ARROW1??", "broken Arrow"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2: broken JSON"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "line 2: an object"),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "line 1: broken JSON: the key 'a' stands twice"),
        ("a.jsonl", "{}\n", "no columns"),
        ("a.xlsx", "x", "unknown ending '.xlsx'; known: .csv"),
        ("noending", "x", "unknown ending ''"),
    ],
)
def test_a_broken_file_is_answered_with_one_sentence(tmp_path, name, data, words):
    path = write(tmp_path / name, data)
    with pytest.raises(SchemaError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_truncated_and_flipped_parquet(tmp_path):
    data = parquet_bytes(tmp_path)
    flipped = bytearray(data)
    flipped[10] ^= 0xFF
    flipped[30] ^= 0xFF
    for broken in (data[:-20], bytes(flipped)):
        with pytest.raises(SchemaError, match="broken Parquet"):
            read(write(tmp_path / "broken.parquet", broken))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(SchemaError, match="no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(SchemaError, match=r"holds no \.parquet file"):
        read(tmp_path)


def test_a_folder_whose_files_differ_is_refused(tmp_path):
    pd.DataFrame({"a": [1], "b": [1]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(SchemaError, match=r"1.parquet has a column 'b' and 2.parquet has not"):
        read(tmp_path)
    pd.DataFrame({"a": ["x"], "b": [1]}).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(SchemaError, match="do not go together"):
        read(tmp_path)


def test_real_files_are_read(shared_data):
    table = read(shared_data / "goemotions" / "goemotions.parquet")
    assert table.num_rows == 54_263
    assert table.kind("emotions") == "tokens"
    assert np.all(table.mask("text"))
