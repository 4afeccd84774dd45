"""What a bundle tells of an order: to whoever reads it, and to whoever verifies it with nothing installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from recorder import Recorder, Store
from tests.bundles import members
from tests.commands import json_lines, run
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.sealing import founded

PROMPTS = ("Buy or hold?", "How much?")
FACTS: dict[str, Any] = {"side": "buy", "quantity": 3, "<b>note": "<script>alert(1)</script>\n| tag | none |"}
PAGES = ("COVER.html", "transcript.html", "transcript.md", "transcript.json")


def traded(url: str) -> tuple[list[str], str]:
    """Record a conversation whose second answer leads to an order; return its exchanges and the order's tag."""
    with serve(Script(chunks=3)) as server, Recorder(url) as recorder:
        session, ids = recorder.mount(requests.Session()), []
        with recorder.conversation("desk"):
            for prompt in PROMPTS:
                response = ask(session, server.url, prompt)
                assert response.content
                ids.append(recorder.exchange(response) or "")
            receipt = recorder.seal(response)
            assert receipt is not None
            recorder.link(kind="order", id="12345", exchange=response, tag=receipt.tag, **FACTS)
    return ids, receipt.tag


def bundled(url: str, out: Path, *selection: str) -> Path:
    done = run("--store", url, "bundle", *selection, "-o", str(out))
    assert done.exit_code == 0, done.stderr
    return out


def verified(path: Path, folder: Path) -> tuple[dict[str, Any], str]:
    """Return what the verifier in a bundle says as JSON and as lines; recorder says the same word for word."""
    program = folder / "verify.py"
    program.write_bytes(members(path)["verify.py"])
    command = [sys.executable, "-I", "-S", str(program), str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    alone = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert lines == run("verify", "--bundle", str(path)).stdout
    (told,) = json_lines(run("verify", "--bundle", str(path), "--json"), "bundle")
    assert told == json.loads(alone)
    assert told["findings"] == []
    return told, lines


def test_an_order_is_read_on_the_cover_in_the_transcripts_and_from_the_verifier(tmp_path: Path, store_url: str) -> None:
    ids, tag = traded(founded(store_url))
    path = bundled(store_url, tmp_path / "e.zip", "--order", "12345")
    told, lines = verified(path, tmp_path)
    (link,) = told["links"]
    assert (link["kind"], link["id"], link["exchange"], link["tag"]) == ("order", "12345", ids[1], tag)
    assert link["facts"] == FACTS
    assert link["seal"]["before_link_ms"] >= 0
    assert link["tag_of"] == {"leaf": link["seal"]["leaf"], "stream": ids[1]}
    known = f"{tag}, of the seal at leaf {link['seal']['leaf']}"
    assert f"link {link['link']}: order 12345, linked {link['at']}" in lines
    assert f"tag {known}" in lines
    assert "quantity: 3" in lines
    files = {name: data.decode() for name, data in members(path).items() if name in PAGES}
    texts = ("order 12345", link["link"], link["at"], "side", "buy", "quantity", known, "before the link", *ids)
    for name in PAGES[:3]:
        assert [text for text in texts if text not in files[name]] == [], name
    for name in PAGES[:2]:
        assert "<script>" not in files[name]
        assert "&lt;script&gt;" in files[name]
    assert "\n| tag" not in files["transcript.md"]
    exchanges = json.loads(files["transcript.json"])["exchanges"]
    assert [one.get("links") for one in exchanges] == [None, [{**link, "led_to": ids}]]


def test_the_same_store_makes_the_same_bundle_of_an_order(tmp_path: Path, store_url: str) -> None:
    traded(founded(store_url))
    paths = [tmp_path / "first.zip", tmp_path / "second.zip"]
    with Store(store_url) as store:
        for path in paths:
            store.bundle(path, order="12345")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_tag_that_no_seal_has_is_told_as_that(tmp_path: Path, store_url: str) -> None:
    ids, tag = traded(founded(store_url))
    done = run("--store", store_url, "link", "order:FAKE", ids[1], "--tag", "a" * 20)
    assert done.exit_code == 0
    assert done.stderr.count("\n") == 1
    assert f"no seal here has the tag {'a' * 20}" in done.stderr
    other = run("--store", store_url, "link", "order:OTHER", ids[0], "--tag", tag)
    assert (other.exit_code, other.stderr) == (0, "")
    told, lines = verified(bundled(store_url, tmp_path / "e.zip", "--conversation", "desk"), tmp_path)
    assert ["tag_of" in link for link in told["links"]] == [True, False, True]
    assert f"{'a' * 20}, which no seal here has" in lines
    assert f"which seals something else than the link rests on: {ids[1]}" in lines
    assert "which no seal here has" in run("--store", store_url, "trace", "order:FAKE").stdout
    (traced,) = json_lines(run("--store", store_url, "trace", "order:12345", "--json"), "trace")
    assert traced["tag_of"]["stream"] == ids[1]
    shown = run("--store", store_url, "trace", "order:12345").stdout
    assert f"{tag}, of the seal at leaf {traced['tag_of']['leaf']}" in shown


def test_what_was_selected_comes_with_what_rests_on_it_and_nothing_more(tmp_path: Path, store_url: str) -> None:
    ids, _ = traded(founded(store_url))
    selections = (("--conversation", "desk"), ("--since", "2020-01-01"), ("--exchange", ids[1]), ("--exchange", ids[0]))
    for number, (selection, count) in enumerate(zip(selections, (2, 2, 1, 1), strict=True)):
        path = bundled(store_url, tmp_path / f"{number}.zip", *selection)
        told, _ = verified(path, tmp_path)
        assert len(told["exchanges"]) == count
        linked = [link["id"] for link in told.get("links", ())]
        assert linked == ([] if selection[1] == ids[0] else ["12345"])
        cover = members(path)["COVER.html"].decode()
        assert ("2 exchanges, of which 1 is in this bundle" in cover) == (selection[1] == ids[1])
        assert (f"{ids[0]} (not here)" in cover) == (selection[1] == ids[1])


def test_a_link_to_what_is_withheld_is_withheld_unless_it_was_asked_for(tmp_path: Path, store_url: str) -> None:
    ids, _ = traded(founded(store_url))
    withheld = bundled(store_url, tmp_path / "w.zip", "--conversation", "desk", "--withhold", ids[1])
    told, lines = verified(withheld, tmp_path)
    (link,) = told["links"]
    assert set(link) == {"link", "at", "withheld"}
    assert "something (its id is not here), linked" in lines
    cover = members(withheld)["COVER.html"].decode()
    assert "what was said in 1 of them" in cover
    assert "quantity" not in "".join(data.decode() for name, data in members(withheld).items() if name in PAGES)
    asked = bundled(store_url, tmp_path / "a.zip", "--order", "12345", "--withhold", ids[1])
    assert verified(asked, tmp_path)[0]["links"][0]["facts"] == FACTS


def test_an_erased_link_is_told_as_that(tmp_path: Path, store_url: str) -> None:
    ids, _ = traded(founded(store_url))
    assert run("erase", ids[1], "--ground", "art. 17", "--yes", "--store", store_url).exit_code == 0
    path = bundled(store_url, tmp_path / "e.zip", "--exchange", ids[1])
    (link,) = verified(path, tmp_path)[0]["links"]
    assert (link["kind"], link["exchange"], link["erased"]) == ("order", ids[1], True)
    assert not {"id", "facts", "tag"} & set(link)
    assert "order (its id is erased)" in members(path)["COVER.html"].decode()


def test_a_link_that_is_not_sealed_yet_keeps_nobody_from_a_bundle_and_is_counted(
    tmp_path: Path, store_url: str, monkeypatch: Any
) -> None:
    ids, _ = traded(founded(store_url))
    with monkeypatch.context() as elsewhere:  # the key is not where the link is made
        elsewhere.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
        assert run("--store", store_url, "link", "order:LATER", ids[1]).exit_code == 0
    done = run("--store", store_url, "bundle", "--conversation", "desk", "-o", str(tmp_path / "e.zip"))
    assert done.exit_code == 0
    assert "1 link to these exchanges is not sealed yet and not in it" in done.stderr
    assert [link["id"] for link in verified(tmp_path / "e.zip", tmp_path)[0]["links"]] == ["12345"]
    assert "nobody has sealed them yet" in members(tmp_path / "e.zip")["COVER.html"].decode()


def test_a_branch_of_the_conversation_did_not_lead_to_the_order(store_url: str) -> None:
    script = Script(chunks=3)
    root = [{"role": "user", "content": "root"}]
    said = [*root, {"role": "assistant", "content": script.text("root")}]
    left = [*said, {"role": "user", "content": "LEFT"}]
    right = [*said, {"role": "user", "content": "RIGHT"}]
    after = [*left, {"role": "assistant", "content": script.text("LEFT")}, {"role": "user", "content": "LEFT2"}]
    ids = []
    with serve(script) as server, Recorder(founded(store_url)) as recorder:
        session = recorder.mount(requests.Session())
        for messages in (root, left, right, after):
            body = {"model": "m", "stream": True, "messages": messages}
            response = session.post(server.url, json=body, stream=True, timeout=30)
            assert response.content
            ids.append(recorder.exchange(response) or "")
        recorder.link(kind="order", id="1", exchange=response)
    (found,) = json_lines(run("--store", store_url, "trace", "order:1", "--json"), "trace")
    assert [(step["exchange"], step["led_to"]) for step in found["steps"]] == list(
        zip(ids, (True, True, False, True), strict=True)
    )
    shown = run("--store", store_url, "trace", "order:1").stdout
    assert "led to it    3 exchanges; 1 on another branch" in shown
    assert f"3. exchange {ids[2]}  on another branch: it did not lead to this\n  goes on from exchange 1\n" in shown
    assert "goes on from exchange 2" in shown
