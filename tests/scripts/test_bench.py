# SPDX-License-Identifier: MIT
"""The record of `make bench`, and the page and plots that are made of it."""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/bench"))
import page      # noqa: E402
import plot      # noqa: E402
import record    # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def section():
    s = record.Section("slug", "Time <of one> & its ratio", "Who does less.")
    s.figures = [record.rounds("no filter", [10.0, 10, 10], "ns", [10.0, 10, 10]),
                 record.rounds("ohguard", [20.0, 22, 30], "ns", [10.0, 10, 10], limit=2.1),
                 record.rounds("a | pipe", [9.0, 5, 7], "ns", [10.0, 10, 10], least=0.5)]
    return s


def bars(section):
    root = ElementTree.fromstring(plot.svg(section))
    return [float(r.get("width")) for r in root.iter(f"{SVG}rect")], root


def test_rounds_are_paired_and_have_quartiles():
    f = record.rounds("x", [20.0, 200, 30], "ns", [10.0, 100, 10])
    assert (f.value, f.ratio) == (30, 2) and f.low <= f.value <= f.high and f.ratio_low <= 2 <= f.ratio_high


def test_target_is_of_the_ratio_where_there_is_one(section):
    assert [f.met for f in section.figures] == [None, False, True]
    assert record.Figure("x", 5, "ms", limit=4).met is False and record.Figure("x", 5, "ms").met is None


def test_record_is_read_as_it_was_written(section, tmp_path):
    record.write(tmp_path / "r.json", "a machine", [section])
    assert record.read(tmp_path / "r.json") == ("a machine", [section])


def test_bar_twice_as_long_is_twice_as_much(section):
    widths, _ = bars(section)
    assert widths == pytest.approx([widths[0], 2.2 * widths[0], 0.7 * widths[0]], abs=0.2)


def test_all_of_a_plot_is_inside_of_it(section):
    section.figures.append(record.rounds("far out", [9.0, 500, 7000], "ns", [10.0, 10, 10]))
    _, root = bars(section)
    for line in root.iter(f"{SVG}line"):
        assert all(0 <= float(line.get(x)) <= plot.WIDTH for x in ("x1", "x2"))


def test_page_has_a_table_and_a_plot_of_each_section_and_no_old_plot(section, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/old.svg").touch()
    record.write(tmp_path / "r.json", "a machine", [section, record.Section("other", "Other", "Who does less.",
                                                                           [record.Figure("x", 5, "ms")])])
    page.write(tmp_path / "r.json", tmp_path)
    text = (tmp_path / "benchmarks.md").read_text()
    assert {p.name for p in (tmp_path / "benchmarks").iterdir()} == {"slug.svg", "other.svg"}
    assert text.count("Who does less.") == 1 and "(benchmarks/slug.svg)" in text and "| x | 5.00 ms |" in text
    widths = {len(line.replace(r"\|", "").split("|")) for line in text.splitlines() if "ns" in line}
    assert len(widths) == 1, "a name with a pipe adds no column"
