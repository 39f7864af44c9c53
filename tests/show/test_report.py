"""The report as a page: whole, harmless, readable without sight, on a phone and on paper."""

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import pytest

from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import parse_config
from bnbench.experiments.sweep import label
from bnbench.show import report
from bnbench.show.page import pages
from tests.conftest import ROOT, compare, record, records

TEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]
WARNING = "runs/pre_act-e86e3dcc/seed-0007.json: skipped: not a run record: it is not whole JSON"
EVIL = "<script>alert(1)</script>\"'</style><img src=x onerror=alert(1)>&{{ 7 * 7 }}\x1b[31m\u202e"
LONG = f"{'long_name' * 7}x · before_activation"  # what a swept experiment's label may grow to
UNBROKEN = f"{'W' * 64} · after_activation"
CHROMIUM = shutil.which("chromium")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


class Reader(HTMLParser):
    """Makes a tree of a page, and fails where tags are not closed in turn."""

    VOID = ("meta", "wbr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self._builder, self._open = TreeBuilder(), list[str]()
        self.feed(page)
        self.close()
        assert self._open == []
        self.root: Element = self._builder.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        self._open.append(tag)
        if tag in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self._builder.data(data)


def read(page: str) -> Element:
    return Reader(page).root


def text(element: Element | None) -> str:
    assert element is not None
    return "".join(element.itertext())


def made() -> list[RunRecord]:
    """Two protocols; in the first a run diverged, and one was made elsewhere."""
    return [
        *records(
            no_bn=TEN,
            pre_act=[value + 0.01 for value in TEN],
            post_act=[*(value + (-1) ** i * 0.004 for i, value in enumerate(TEN[:9])), None],
        ),
        record("no_bn", 10, processor="Another processor", jobs=4),
        record("smoke", started_at="2026-11-20T10:00:00+00:00"),
    ]


@pytest.fixture(scope="module")
def page() -> str:
    return report.to_html(compare(made(), all_pairs=True), [WARNING])


@pytest.fixture(scope="module")
def strange_page() -> str:
    """Every text that comes from outside is hostile, or as long as it may be."""
    evil = {"processor": EVIL, "platform": EVIL, "data_sha256": EVIL, "device": EVIL}
    texts = [f"description={json.dumps(EVIL)}", f"data.dataset={'deep/' * 190}x.npz"]
    return report.to_html(
        compare(
            [
                record(
                    config,
                    seed,
                    accuracy,
                    overrides=[f"name={name}", *texts, "swept=[model.batch_norm.placement]"],
                    tensorflow=EVIL if seed else "2" * 100,
                    weights_sha256=f"{seed}" * 64,
                    started_at=EVIL,
                    **evil,
                )
                for config, name in (
                    ("no_bn", "no_bn"),
                    ("pre_act", LONG.partition(" · ")[0]),
                    ("post_act", UNBROKEN.partition(" · ")[0]),
                )
                for seed, accuracy in enumerate(TEN)
            ],
            all_pairs=True,
        ),
        [f"{EVIL}: skipped"],
    )


@pytest.fixture(params=["page", "strange_page"])
def any_page(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def test_the_outline(any_page: str) -> None:
    """A language, a title, one h1 and no level left out, as screen readers jump by headings."""
    root = read(any_page)
    assert root.get("lang") == "en"
    assert text(root.find("head/title"))
    headings = [e for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    levels = [int(heading.tag[1]) for heading in headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert all(text(heading).strip() for heading in headings)


def test_tables_say_what_they_are(any_page: str) -> None:
    """Each has a caption, a scope on every header, a header to each row, and as many cells."""
    found = list(read(any_page).iter("table"))
    assert found
    for table in found:
        assert text(table.find("caption")).strip()
        columns = table.findall("thead/tr/th")
        assert {th.get("scope") for th in columns} == {"col"}
        for row in table.findall("tbody/tr"):
            assert [(cell.tag, cell.get("scope")) for cell in row] == [
                ("th", "row"),
                *[("td", None)] * (len(columns) - 1),
            ]


def test_figures_have_an_alternative(page: str) -> None:
    """Each plot is drawn once, and has a caption and a name with its numbers."""
    figures = list(read(page).iter("figure"))
    assert len(figures) == 6  # a single experiment has neither differences nor looks
    for figure in figures:
        (drawn,) = figure.iter("svg")
        assert drawn.get("role") == "img"
        assert re.search(r"\d", drawn.get("aria-label", ""))
        assert text(figure.find("figcaption")).strip()


def test_nothing_is_loaded_or_run(any_page: str) -> None:
    """No script, no handler, no address but of a place in the page, and a policy to forbid it."""
    root = read(any_page)
    elements = list(root.iter())
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(ids) == len(set(ids))
    assert not {e.tag for e in elements} & {"script", "link", "img", "iframe", "object", "base"}
    for element in elements:
        for name, value in element.items():
            assert not name.startswith("on"), element.attrib
            if name.rpartition(":")[2] in ("href", "src", "action", "poster", "data"):
                assert value[0] == "#"
                assert value[1:] in ids
            assert all(target in ids for target in re.findall(r"url\(#(.*?)\)", value))
            assert not re.search(r"url\((?!#)|@import", value)
    for style in root.iter("style"):
        assert not re.search(r"url\(|@import", text(style))
    (policy,) = (e for e in root.iter("meta") if "http-equiv" in e.attrib)
    assert policy.get("content", "").startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_text_from_outside_is_shown_as_it_is(strange_page: str) -> None:
    """Markup, quotes and control characters of a record are text, wherever the record is shown."""
    shown = EVIL.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert "\x1b" not in strange_page
    assert "\u202e" not in strange_page
    root = read(strange_page)
    cells = [text(cell) for cell in root.iter("td")]
    assert {cell.get("data-label") for cell in root.iter("td") if shown in text(cell)} == {
        "software",
        "machine",
        "made by",
    }
    assert LONG in [text(th) for th in root.iter("th")]
    assert "10" * 64 not in cells
    assert "9" * 64 in cells
    assert shown in [text(p) for p in root.iter("p")]
    assert f"{shown}: skipped" in [text(li) for li in root.iter("li")]


def test_all_that_a_comparison_says(page: str) -> None:
    """Every table with its cells, every remark and sentence, the warning, the days of the runs."""
    root = read(page)
    shown = [
        (text(table.find("caption")), [tuple(map(text, row)) for row in table.findall("tbody/tr")])
        for table in root.iter("table")
    ]
    sentences = [text(item) for item in root.iter("li")]
    comparisons = compare(made(), all_pairs=True)
    for comparison, shared in zip(comparisons, pages(comparisons), strict=True):
        for grid in [*shared.tables, *report.recalls(comparison)]:
            assert (grid.title, list(grid.rows)) in shown
        assert set(sentences) >= {*shared.answer, *shared.remarks, *shared.closing}
    assert WARNING in sentences
    assert "32 runs of 4 experiments, made between 2026-11-20 and 2026-11-23." in page


def test_each_environment_and_its_runs(page: str) -> None:
    """Runs made elsewhere have their own number, and a run that diverged has no accuracy."""
    root = read(page)
    captions = {text(t.find("caption")): t for t in reversed(list(root.iter("table")))}
    made_with = [
        list(map(text, row)) for row in captions["What the runs were made with"].iter("tr")
    ]
    here = "A processor (avx2), 2 cores, Linux"
    software = "bnbench 0.1.0, TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7"
    assert made_with[1:] == [
        ["1", "30", software, here, "processes, cpu, 2 at once"],
        [
            "2",
            "1",
            software,
            "Another processor (avx2), 2 cores, Linux",
            "processes, cpu, 4 at once",
        ],
    ]
    no_bn = [list(map(text, row)) for row in captions["Runs of no_bn"].iter("tr")]
    assert no_bn[11] == ["10", "completed", "88.00", "2", "a" * 64]
    post_act = [list(map(text, row)) for row in captions["Runs of post_act"].iter("tr")]
    assert post_act[10] == ["9", "diverged", "–", "1", "a" * 64]


@pytest.mark.parametrize("seeds", [[0, 1, 2], [0], [3], [2, 5, 7]])
def test_the_commands_repeat_the_runs(seeds: list[int]) -> None:
    """The configs shown, saved under the names shown, are those of the records with their seeds."""
    runs = [record(config, seed) for config in ("no_bn", "pre_act") for seed in seeds]
    blocks = [text(pre) for pre in read(report.to_html(compare(runs))).iter("pre")]
    commands = [shlex.split(block) for block in blocks if block.startswith("bnbench run")]
    configs = [block for block in blocks if block.startswith("name: ")]
    assert [command[4:] for command in commands] == [
        ["no_bn.yaml", "pre_act.yaml"],
        ["no_bn.yaml"],
        ["pre_act.yaml"],
    ]
    value = commands[0][3]
    setting = f"seeds=[{value}]" if "," in value else f"seeds={value}"  # as `run --seeds` has it
    for config, name in zip(configs, ("no_bn", "pre_act"), strict=True):
        again = parse_config(config, f"{name}.yaml", [setting])
        assert again.seed_list == tuple(seeds)
        assert again.model_dump(exclude={"seeds"}) == next(
            run.config.model_dump(exclude={"seeds"}) for run in runs if run.experiment == name
        )


def test_a_tuned_comparison() -> None:
    """It has a section beside those of the values tried, and no run is counted twice."""
    runs = [
        record(
            config,
            seed,
            overrides=["swept=[training.learning_rate]", f"training.learning_rate={rate}"],
        )
        for config in ("no_bn", "pre_act")
        for rate in (0.01, 0.1)
        for seed in (0, 1)
    ]
    root = read(report.to_html(compare(runs)))
    assert len(list(root.iter("nav"))) == 1
    assert {label(run.config) for run in runs} == {text(heading) for heading in root.iter("h4")}
    assert "8 runs of 4 experiments" in text(root.find("body/header"))
    assert any("Tuned over learning_rate" in text(heading) for heading in root.iter("h2"))
    captions = [text(caption) for caption in root.iter("figcaption")]
    assert sum("value that was tried" in caption for caption in captions) == 1


def test_without_records() -> None:
    """The page says that there are none."""
    assert "No run has been recorded." in text(read(report.to_html([])))


def test_the_same_records_give_the_same_bytes(page: str, runs: Callable[..., Path]) -> None:
    """Nothing of the time, the process, its hash seed or the order of files is in the page."""
    program = (
        "import sys; from pathlib import Path; from bnbench.evidence import compare, store;"
        "from bnbench.evidence.question import Question; from bnbench.show import report;"
        "found, _ = store.RecordStore(Path(sys.argv[1])).read_all();"
        "compared = compare.compare(found, Question(all_pairs=True));"
        "sys.stdout.buffer.write(report.to_html(compared, sys.argv[2:]).encode())"
    )
    again = subprocess.run(
        [sys.executable, "-c", program, runs(*made()), WARNING],
        env={"PYTHONHASHSEED": "1"},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert again.stdout.decode() == page


@pytest.mark.parametrize("missing", ["jinja2", "markupsafe"])
def test_without_jinja(missing: str) -> None:
    """The fault names the extra that brings it."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from bnbench.errors import EnvironmentFault\n"
        "try: import bnbench.show.report\n"
        "except EnvironmentFault as fault: print(fault)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "pip install 'bnbench[report]'" in done.stdout, done.stderr


def test_the_colours_can_be_read(page: str) -> None:
    """Every colour of text on every ground, by day and by night, has a contrast of 4.5 or more."""
    themes = re.findall(r"--ink: .*?\}", page, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): #(\w+)", theme))
        for front in ("ink", "soft", "mark"):
            for ground in ("paper", "tint"):
                light, dark = sorted(map(luminance, (colours[front], colours[ground])))[::-1]
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, ground)


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2 defines it."""
    digits = "".join(2 * c for c in colour) if len(colour) == 3 else colour
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Open a page in a browser that has no network, and return what it prints."""

    def open_page(page: str, *options: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(page)
        done = subprocess.run(
            [
                CHROMIUM or "",
                "--headless",
                "--no-sandbox",  # it refuses to run as root with one
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={tmp_path / 'profile'}",
                *options,
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return open_page


WIDTHS = (360, 753, 1089, 1185, 1280)  # a phone, the narrowest of each layout, and a screen
# Runs beside the page, which stays as it is, policy and all.
MEASURE = """
const measure = (frame) => {
  const view = frame.contentWindow, page = view.document, found = [];
  const room = page.documentElement.clientWidth;
  const note = (e, why) => {
    found.push(`${frame.width}: ${e.tagName} ${why}: ${e.textContent.trim().slice(0, 60)}`);
  };
  const check = (e) => {
    const box = e.getBoundingClientRect(), style = view.getComputedStyle(e);
    if (box.right > room + 0.5 || box.left < -0.5) note(e, "beyond the page");
    if (style.clipPath != "none" || /auto|scroll/.test(style.overflowX)) return;
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth) note(e, "too full");
    if (e.tagName != "svg") [...e.children].forEach(check);
  };
  page.querySelectorAll("details").forEach((e) => { e.open = true; });
  page.querySelectorAll("figure").forEach((figure) => {
    const drawn = [...figure.querySelectorAll("svg")].filter((e) => e.clientWidth);
    if (drawn.length != 1) note(figure, "is drawn " + drawn.length + " times");
    const small = [...drawn[0].querySelectorAll("text")].some((e) => {
      return parseFloat(view.getComputedStyle(e).fontSize) * drawn[0].getScreenCTM().a < 9;
    });
    if (small) note(figure, "too small to read");
  });
  check(page.body);
  if (page.documentElement.scrollWidth > view.innerWidth) note(page.body, "scrolls sideways");
  return found;
};
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(measure);
  document.body.textContent = JSON.stringify(found);
};
"""


def overflowing(browse: Callable[..., str], page: str) -> list[str]:
    """Return what is too wide at any of the widths, each in a frame, as windows have a minimum."""
    frames = [f'<iframe width="{w}" srcdoc="{html.escape(page)}"></iframe>' for w in WIDTHS]
    printed = browse(
        f"<!doctype html><body>{''.join(frames)}<script>{MEASURE}</script>",
        "--dump-dom",
        "--virtual-time-budget=10000",
    )
    found = json.loads(html.unescape(re.findall(r"<body>(.*)</body>", printed)[0]))
    assert len(found) == len(WIDTHS)
    return [line for lines in found for line in lines]


@in_a_browser
def test_nothing_overflows(any_page: str, browse: Callable[..., str]) -> None:
    """On a phone, a tablet and a screen all is within the page, and within its own box."""
    assert overflowing(browse, any_page) == []


@pytest.fixture(scope="module")
def broad_page() -> str:
    """Fifteen networks that are compared with one without BN, and two with tanh."""
    eps = [
        ("pre_act", f"model.batch_norm.epsilon={n}e-3", f"name=epsilon_{n}") for n in range(2, 16)
    ]
    networks = [("no_bn",), *eps, ("tanh/no_bn",), ("tanh/pre_act",)]
    return report.to_html(
        compare(
            record(file, seed, 0.88 + seed / 100, overrides=overrides)
            for file, *overrides in networks
            for seed in range(2)
        )
    )


@in_a_browser
def test_many_networks_stay_within_the_page(broad_page: str, browse: Callable[..., str]) -> None:
    """Recalls have a column to a network: a table to a baseline, of cards where it is too wide."""
    captions = [text(caption) for caption in read(broad_page).iter("caption")]
    assert [c.split()[5] for c in captions if c.startswith("Recall")] == ["no_bn", "tanh_no_bn"]
    assert overflowing(browse, broad_page) == []


@in_a_browser
def test_an_overflow_is_found(browse: Callable[..., str]) -> None:
    """What is too wide for the page or for its box is found, unless it scrolls in its own box."""
    wide = f'<p style="width: 1300px">Wide</p><p style="width: 9em">{"W" * 50}</p>'
    calm = '<div style="overflow-x: auto"><p style="width: 1300px">Calm</p></div>'
    found = overflowing(browse, f"<!doctype html><body>{wide}{calm}")
    for width in WIDTHS:
        assert f"{width}: P beyond the page: Wide" in found
        assert f"{width}: P too full: {'W' * 50}" in found
        assert f"{width}: P beyond the page: Calm" not in found


@pytest.fixture
def requested(browse: Callable[..., str], tmp_path: Path) -> Callable[[str], list[str]]:
    """Open a page and return what it asks the network for; the browser's own wants do not count."""

    def addresses(page: str) -> list[str]:
        browse(page, "--dump-dom", f"--log-net-log={tmp_path / 'log'}")
        events = json.loads((tmp_path / "log").read_text())["events"]
        asked = [event.get("params", {}) for event in events]
        return [
            params["url"]
            for params in asked
            if params.get("initiator", "not an origin") != "not an origin"
            and not params["url"].startswith(("file:", "data:"))
        ]

    return addresses


@in_a_browser
def test_nothing_is_requested(page: str, requested: Callable[[str], list[str]]) -> None:
    """The page asks for nothing; with an image put into it, its policy holds the request back."""
    foreign = '<img src="http://elsewhere.invalid/x.png">'
    assert "http://elsewhere.invalid/x.png" in requested(f"<body>{foreign}")
    assert requested(page) == []
    assert requested(page.replace("<main>", f"<main>{foreign}")) == []


@in_a_browser
def test_print_shows_what_is_folded(page: str, browse: Callable[..., str], tmp_path: Path) -> None:
    """Configs and runs are on paper though they are folded on the screen."""

    def pages(page: str) -> int:
        browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
        return len(re.findall(rb"/Type /Page\b", (tmp_path / "page.pdf").read_bytes()))

    unfolded = page.replace("<details", "<details open")
    folded = page.replace("details::details-content", "none")
    assert pages(folded) < pages(page) == pages(unfolded)
