"""Report pages are whole HTML, fetch nothing, and hold the data they offer.

    python3 pages_test.py SAMPLES_TEST parser|browser

SAMPLES_TEST makes the pages. "parser" reads them with Python's html.parser,
"browser" with a headless Chromium, which must see the same elements.
"""
import collections
import csv
import html.parser
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

VOID = {"meta", "br", "link", "img", "input", "hr"}
SKIPPED = 77
# What no page may have, whatever people wrote into names.
FORBIDDEN = {"script", "iframe", "object", "embed", "img", "link", "form", "base"}


class Page(html.parser.HTMLParser):
    """Elements, attributes and text of a page; refuses what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.counts = collections.Counter()
        self.ids, self.links, self.downloads = [], [], {}
        self.policy = self.title = None
        self.rows = []  # Columns of each row, by table.
        self.open = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.counts[tag] += 1
        assert tag not in FORBIDDEN, tag
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("href", "src", "xlink:href"):
            if name in attributes:
                self.links.append(attributes[name])
        if "download" in attributes:
            kind, data = attributes["href"].removeprefix("data:").split(",", 1)
            assert kind.endswith(";charset=utf-8"), kind
            self.downloads[attributes["download"]] = urllib.parse.unquote(data)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        if tag == "table":
            self.rows.append([])
        elif tag == "tr":
            self.rows[-1].append(0)
        elif tag in ("td", "th"):
            self.rows[-1][-1] += int(attributes.get("colspan", 1))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] == ["title"] and self.title is None:
            self.title = data


def check(page):
    assert page.policy.startswith("default-src 'none'; style-src 'unsafe-inline'"), page.policy
    assert page.counts["h1"] == 1 and page.counts["main"] == 1
    assert len(page.ids) == len(set(page.ids)), "an id twice"
    for link in page.links:
        assert link.startswith("data:") or link.removeprefix("#") in page.ids, link[:80]
    for rows in page.rows:
        assert len(set(rows)) == 1, f"rows of unlike width: {rows}"
    assert page.title, "no title"


def check_downloads(name, page):
    for file in ("runs.csv", "epochs.csv", "trials.csv"):
        if file in page.downloads:
            rows = list(csv.reader(io.StringIO(page.downloads[file])))
            assert len(rows) > 1 and len({len(row) for row in rows}) == 1, (name, file)
    if name.startswith("comparison"):
        assert "comparison.yaml" in page.downloads
    else:
        assert page.downloads["study.yaml"].startswith("display_name: ")
    if name == "comparison":
        rows = list(csv.DictReader(io.StringIO(page.downloads["runs.csv"])))
        assert len(rows) == 40 and rows[0]["arm"] == "random", rows[:1]
        assert 0.9 < float(rows[0]["best_accuracy"]) < 1
        assert page.counts["svg"] >= 10 and page.counts["figure"] == 5, page.counts


def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


def dump_dom(browser, path, profile):
    command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={profile}",
               "--dump-dom", path.as_uri()]
    if os.geteuid() == 0:  # Its sandbox refuses root.
        command.insert(1, "--no-sandbox")
    return subprocess.run(command, capture_output=True, text=True, timeout=120,
                          check=True).stdout


def main(samples_test, reader):
    browser = chromium()
    if reader == "browser" and browser is None:
        print("SKIPPED: no Chromium on this machine")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([samples_test], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "HEADSTART_REPORT_SAMPLES": name})
        paths = sorted(folder.glob("*.html"))
        assert len(paths) >= 10, paths
        for path in paths:
            page = Page(path.read_text())
            if reader == "parser":
                check(page)
                check_downloads(path.stem, page)
                continue
            # SVG's empty elements come back with an end tag, which changes nothing.
            seen = Page(dump_dom(browser, path, folder / "profile"))
            assert seen.counts == page.counts, (path.name, seen.counts - page.counts,
                                                page.counts - seen.counts)
            assert seen.title == page.title, (seen.title, page.title)
        print(f"{len(paths)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
