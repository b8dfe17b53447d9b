"""The README's picture, from any study."""

import struct
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "picture.py"


def test_a_study_becomes_an_opaque_picture(study, tmp_path):
    out = tmp_path / "verdict.png"
    subprocess.run([sys.executable, SCRIPT, study, out], check=True)
    data = out.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert 1150 <= width <= 1250
    assert 300 <= height <= 1200


def test_how_it_is_called():
    found = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert found.returncode == 1
    assert "STUDY_FOLDER PICTURE.png" in found.stderr
