"""Stores with links, pipes, folders, foreign files and packed records."""

import gzip
import json
import os

from tests.faults.stores.shelf import (
    SEVEN,
    Shelf,
    altered,
    home_of,
    place_of,
    raw,
    runs_of,
    shifted,
    store,
)

# Files that are none


@store
def links_of_every_kind(shelf: Shelf) -> None:
    shelf.put_two()
    home = shelf.folder / home_of(shelf.counted[-1])
    outside = shelf.folder.parent / "outside"
    outside.mkdir()
    content = raw("pre_act", 7, 0.89)
    (outside / "mine.json").write_text(json.dumps(content))
    (home / "seed-0007.json").symlink_to(outside / "mine.json")  # in the place where it belongs
    shelf.counted.append(content)
    loop, *places = (shelf.folder / shelf.free_place() for _ in range(7))
    targets = (shelf.folder / "nowhere", home / "seed-0000.json", outside, "/", "/dev/zero")
    for place, target in zip((loop, *places), (loop, *targets, "/etc/passwd"), strict=True):
        place.symlink_to(target)
        shelf.warned.append(f"{place}: skipped: ")
    (shelf.folder / "again").symlink_to(shelf.folder)


@store
def what_cannot_be_read(shelf: Shelf) -> None:
    shelf.put_two()
    pipe, memory, enormous, log = (shelf.folder / shelf.free_place() for _ in range(4))
    os.mkfifo(pipe)
    memory.symlink_to("/proc/self/mem")
    log.symlink_to("/proc/kmsg")
    with enormous.open("wb") as file:
        file.truncate(2**40)
    for path in (pipe, memory, log, enormous):
        shelf.warned.append(f"{path}: skipped: not a run record")
    os.mkfifo(shelf.folder / "pipe.jsonl.gz")
    shelf.warned.append(f"{shelf.folder}: skipped: what is no run record: pipe.jsonl.gz")


@store
def a_folder_in_the_place_of_a_record(shelf: Shelf) -> None:
    shelf.put_two()
    for seed in (7, 8):
        (shelf.folder / place_of(raw("pre_act", seed, 0.9)) / "deeper").mkdir(parents=True)
    shelf.warned.append("seed-0007.json: skipped: not a run record")
    shelf.blocked = "pre_act"


@store
def a_file_in_the_place_of_a_folder(shelf: Shelf) -> None:
    shelf.put(*runs_of("post_act", SEVEN))
    shelf.spoil(home_of(raw("pre_act", 0, 0.9)), "mine", "not a run record")
    shelf.blocked = "pre_act"


@store
def files_of_others(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    for place in ("notes.txt", "a/b/c.txt", f"{home}/seed-0000.json.bak", f"{home}/Copy.json"):
        shelf.write(place, "mine")
    named = f"notes.txt, {home}/Copy.json, {home}/seed-0000.json.bak"
    shelf.warned.append(f"{shelf.folder}: skipped: what is no run record: {named}")


@store
def what_belongs_to_runs(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    events = f"{home}/seed-0000/events.out.tfevents.0.bnbench"
    for place in ("README.md", f"{home}/seed-0000.keras", events, f"tb/{events}", ".git/x.json"):
        shelf.write(place, "{}")


@store
def names_of_control_characters(shelf: Shelf) -> None:
    shelf.put_two()
    home = home_of(shelf.counted[-1])
    for name in ("\x1b[2J\n\rwarning: all is well.json", "[bold]<b>$x$|`.json"):
        shelf.write(f"{home}/{name}", "{}")
    shelf.write(f"{home}/\u202e\x9b.json", json.dumps(shelf.counted[-1]))
    with open(os.fsencode(shelf.folder / home) + b"/\xff\x9b\x1b.json", "wb") as file:
        file.write(b"{}")
    shelf.write("\x1b[31m-00000000/seed-0000.json", "{}")
    shelf.write("\x1b]0;.jsonl.gz", gzip.compress(b"{}\n"))
    shelf.warned += [
        r"\x1b[2J\n\rwarning: all is well.json",
        r"\x1b[31m-0000",
        "[bold]<b>$x$|`.json",
    ]
    shelf.warned += [r"\u202e\x9b.json: skipped: a copy of pre_act seed 6", " and 1 more"]
    shelf.warned += [r"\x1b]0;.jsonl.gz:1: skipped: "]


# Packed records


@store
def packed_records_alone(shelf: Shelf) -> None:
    shelf.counted += [*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01))]
    shelf.pack("study.jsonl.gz", shelf.counted)


@store
def a_packed_file_with_damaged_lines(shelf: Shelf) -> None:
    shelf.counted += [*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(0.01))]
    lines = [json.dumps(content) for content in shelf.counted]
    lines[3:3] = ["{}", "", lines[0][:500], json.dumps(altered(shelf.counted[0], {"seed": -1}))]
    shelf.pack("study.jsonl.gz", lines)
    path = shelf.folder / "study.jsonl.gz"
    shelf.warned += [f"{path}:{line}: skipped: not a run record" for line in (4, 5, 6, 7)]


@store
def a_packed_file_cut_short(shelf: Shelf) -> None:
    shelf.put_two()
    whole = gzip.compress(b"".join(json.dumps(c).encode() + b"\n" for c in shelf.counted))
    shelf.write("study.jsonl.gz", whole[:-20])
    shelf.write("text.jsonl.gz", "no gzip at all")
    shelf.warned += [": skipped: it is no whole gzip file", f"{shelf.folder}/text.jsonl.gz:1: "]


@store
def packed_records_against_those_in_folders(shelf: Shelf) -> None:
    shelf.put_two()
    other = [altered(raw("pre_act", 0, 0.99), {}), raw("no_bn", 0, 0.5)]
    shelf.pack("a.jsonl.gz", other)
    shelf.pack("b.jsonl.gz", [raw("no_bn", 0, 0.6), shelf.counted[0]])
    shelf.counted.append(other[1])
    shelf.warned += [
        f"{shelf.folder / 'a.jsonl.gz'}:1: skipped: ",
        f"{shelf.folder / 'b.jsonl.gz'}:1: skipped: {shelf.folder / 'a.jsonl.gz'}:2 has another",
    ]
    shelf.unclean = True


@store
def a_packed_file_of_empty_lines(shelf: Shelf) -> None:
    shelf.put_two()
    shelf.write("bomb.jsonl.gz", gzip.compress(b"\n" * 1_000_000))
    shelf.warned.append("bomb.jsonl.gz:100: skipped: the rest too")


@store
def packed_records_where_no_one_looks(shelf: Shelf) -> None:
    shelf.put_two()
    line = json.dumps(raw("no_bn", 0, 0.99)).encode() + b"\n"
    shelf.write("deeper/study.jsonl.gz", gzip.compress(line))  # which is a folder of its own
    for place in ("study.jsonl.GZ", "study.json.gz"):
        shelf.write(place, gzip.compress(line))
    shelf.write("study.jsonl", line)
    shelf.warned.append("what is no run record: study.json.gz, study.jsonl, study.jsonl.GZ")


# Nothing at all


@store
def nothing_but_damage(shelf: Shelf) -> None:
    content = raw("pre_act", 0, 0.9)
    shelf.spoil(place_of(content), "{", "not a run record: it is not whole JSON")
    shelf.spoil("seed-0000.json", content, "a copy of pre_act seed 0")


@store
def an_empty_folder(shelf: Shelf) -> None:
    shelf.folder.mkdir(exist_ok=True)
