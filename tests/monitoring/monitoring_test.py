"""deploy/prometheus, with Debian's own prometheus and promtool.

    monitoring_test.py rules    configuration and alert rules, on made-up series
    monitoring_test.py scrape   a study on real processes, scraped while it runs: names that promtool accepts, names that the
                                dashboards and alerts use, and values that agree with what the headstart program says
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
from harness import Cluster, Folder, Process, skip, small_study, wait_until, write_study  # noqa: E402

RULES = ROOT / "deploy" / "prometheus"
ALERTS = (RULES / "alerts.yml").read_text()
DASHBOARD = json.loads((RULES / "grafana-dashboard.json").read_text())
CONSOLE = (RULES / "consoles" / "headstart.html").read_text()


def promtool(*arguments, text=None):
    result = subprocess.run(["promtool", *map(str, arguments)], cwd=RULES, input=text, capture_output=True, text=True)
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"promtool {' '.join(map(str, arguments))}:\n{said}"
    # `check metrics` reports style with exit code 0 or 3, depending on the release.
    assert text is None or not said.strip(), said


def check_rules():
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    alerts = set(re.findall(r"alert: (\w+)", ALERTS))
    tested = set(re.findall(r"Headstart\w+", (RULES / "alerts_test.yml").read_text()))
    explained = (ROOT / "docs" / "operations.md").read_text()
    assert alerts == tested, f"without a test: {alerts - tested}; without a rule: {tested - alerts}"
    missing = [alert for alert in alerts if f"`{alert}`" not in explained]
    assert not missing, f"docs/operations.md does not say what {missing} mean"


class Prometheus:
    """A server on a port that the system chose, scraping these {process: host:port} once a second."""

    def __init__(self, folder, targets):
        config = (RULES / "prometheus.yml").read_text()
        for process, target in targets.items():
            config, count = re.subn(r'\["[^"]*"\](?=, labels: {process: %s})' % process, f'["{target}"]', config)
            assert count == 1, f"prometheus.yml scrapes no {process}"
        config = config.replace("scrape_interval: 5s", "scrape_interval: 1s")
        config = config.replace("[alerts.yml]", f"[{RULES}/alerts.yml]")
        (folder / "prometheus.yml").write_text(config)
        log = folder / "prometheus.log"
        self.process = Process("prometheus", [
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            "--web.listen-address=127.0.0.1:0", f"--web.console.templates={RULES}/consoles",
            f"--web.console.libraries={folder}"], log)
        said = wait_until(lambda: re.search(r'msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)', log.read_text())
                          or not self.process.alive(), "address of prometheus", 60)
        assert said is not True, log.read_text()[-2000:]
        self.address = said[1]
        wait_until(self.ready, "a prometheus that is ready", 60)

    def ready(self):
        try:
            return self.get("/-/ready")
        except urllib.error.HTTPError:
            return None

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
            return answer.read().decode()

    def query(self, expression):
        """[(labels, value)]; what it refuses is an error of the test."""
        try:
            answer = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        return [(one["metric"], float(one["value"][1])) for one in json.loads(answer)["data"]["result"]]

    def value(self, expression):
        found = self.query(expression)
        return found[0][1] if found else None


def names_in(text):
    """Metric names without what a histogram or summary adds to them."""
    found = re.findall(r"\b(headstart_[a-z_]+|process_[a-z_]+)(?=[\[{ )\"'\n]|$)", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def expressions():
    """Every query of the dashboards, with a span in place of their variables."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m")


def check_scrape():
    with Folder() as folder:
        cluster = Cluster(folder).start()
        prometheus = None
        try:
            files = {"scheduler": folder / "endpoints" / "metrics-scheduler",
                     "storage": folder / "endpoints" / "metrics-storage",
                     "worker": folder / "endpoints-worker1" / "metrics-worker"}
            targets = {process: wait_until(lambda file=file: file.exists() and file.read_text().strip(), str(file))
                       for process, file in files.items()}
            prometheus = Prometheus(folder, targets)
            up = 'up{job="headstart"} == 1'
            wait_until(lambda: len(prometheus.query(up)) == len(targets), "first scrape of every server")

            # Every series is there before anything happened; the study's own come with it.
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 6}", epochs=10, examples=20000)))
            running = f'headstart_study_trials{{study="{study}"}}'
            wait_until(lambda: prometheus.query(running), f"series of {study}")
            exposed = {}
            for process, target in targets.items():
                with urllib.request.urlopen(f"http://{target}/metrics", timeout=60) as answer:
                    exposed[process] = answer.read().decode()
                promtool("check", "metrics", text=exposed[process])
            known = {name for text in exposed.values() for name in re.findall(r"^# TYPE (\S+)", text, re.M)}
            done = cluster.wait_study(study)

            for where, text in (("alerts.yml", ALERTS), ("grafana-dashboard.json", "\n".join(expressions())),
                                ("headstart.html", CONSOLE)):
                unknown = names_in(text) - known
                assert not unknown, f"{where} uses {sorted(unknown)}, which no server has"
            for expression in expressions():
                prometheus.query(expression)

            span = "[1h]"
            epochs = int(done["recorded_epochs"])
            wait_until(lambda: prometheus.value('sum(headstart_epoch_seconds_count{phase="train"})') == epochs,
                       f"{epochs} epochs trained, as headstart says")
            assert prometheus.value(f"max_over_time(headstart_worker_slots{span})") == 2
            assert prometheus.value(f"max(max_over_time(headstart_worker_slots_busy{span}))") >= 1
            assert prometheus.value(f'max_over_time(headstart_study_trials{{study="{study}",state="training"}}{span})') >= 1
            assert prometheus.value('sum(headstart_blob_bytes_total{process="storage",direction="put"})') > 0
            wait_until(lambda: prometheus.query('sum(headstart_checkpoint_bytes{reason="best_trial"}) > 0'),
                       "bytes of the best trials")
            assert prometheus.value("headstart_storage_free_bytes") > 0
            assert prometheus.value("headstart_leases_expired_total") == 0
            assert prometheus.value('sum(headstart_scheduler_commands_total{code="ok"})') > 0
            memory = dict((labels["process"], value / 2**20)
                          for labels, value in prometheus.query("process_resident_memory_bytes"))
            assert set(memory) == set(targets), memory
            assert "<title>headstart</title>" in prometheus.get("/consoles/headstart.html")

            # A server that goes is seen to go.
            cluster.agents["worker1"].stop()
            wait_until(lambda: prometheus.value('up{process="worker"}') == 0, "a worker that is down")
            cluster.stop()
            print("resident MiB:", {process: round(value) for process, value in memory.items()})
        finally:
            if prometheus:
                prometheus.process.kill()
            cluster.kill()


def main():
    for program in ("promtool", "prometheus"):
        if not shutil.which(program):
            skip(f"no {program} on the PATH; tests/run.sh fetches Debian's")
    {"rules": check_rules, "scrape": check_scrape}[sys.argv[1]]()


if __name__ == "__main__":
    main()
