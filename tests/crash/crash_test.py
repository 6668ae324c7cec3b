"""kill -9 of scheduler, storage, agent and trainer at random moments: the end is as if nothing had happened.

random: ROUNDS disturbed random-search studies end with the trials, values, winner and digest of every kept epoch of an
undisturbed one.
asha: promotions depend on arrival order, so there each (trial, epoch) that exists has the digest it has in any other
run, no rung promoted beyond its share, and nothing acknowledged is missing.
retries: with few losses or failures allowed, a run that has more of them FAILS and says why.

  crash_test.py random [--rounds 20] [--seed N]
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import Cluster, Folder, Refused, small_study, wait_until, write_study  # noqa: E402

RANDOM = "random: {trial_count: 6}"
ASHA = "asha: {trial_count: 9, min_epochs: 1, reduction: 3}"
ASHA_EPOCHS = 9


def outcome(cluster, study):
    """What must not depend on crashes."""
    trials = cluster.trials(study)
    return {
        "state": cluster.study(study)["state"],
        "winner": cluster.study(study)["best_trial"],
        "values": {t["name"]: [(v["path"], v["value"]) for v in t["values"]] for t in trials},
        "states": {t["name"]: t["state"] for t in trials},
        "measurements": {(t["name"], int(e.get("epoch", 0))): e.get("measurement")
                         for t in trials for e in t.get("epochs", [])},
        "digests": cluster.digests(study),
        "promotions": [(t["name"], d) for t in trials for d in cluster.rows("trials", "explain", t["name"])[0]["decisions"]
                       if d["kind"] == "PROMOTED"],
    }


def kept(cluster, study):
    """Stored weights after collection: {checkpoint: digest} of what the best trials keep."""
    return {name: digest for name, (digest, reasons) in cluster.stored(study).items() if "BEST_TRIAL" in reasons}


def wait_collected(cluster, study):
    """Waits until storage lists nothing but the best trials' epochs."""
    def clean():
        stored = cluster.stored(study)
        return stored and all(reasons == ["BEST_TRIAL"] for _, reasons in stored.values())
    wait_until(clean, "collection of everything but the best trials", 60)


def undisturbed(text):
    """(outcome, kept, seconds from submit to the last epoch) of a study left alone."""
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            begin = time.monotonic()
            name = cluster.create_study(write_study(folder / "study.yaml", text))
            cluster.wait_study(name)
            seconds = time.monotonic() - begin
            wait_collected(cluster, name)
            result = outcome(cluster, name), kept(cluster, name), seconds
            cluster.stop()
            return result
        finally:
            cluster.kill()


class Disturber:
    """Kills one of each kind of process at random moments while a study runs, and starts it again."""

    def __init__(self, cluster, generator):
        self.cluster = cluster
        self.generator = generator
        self.kills = []

    def kill(self, kind):
        cluster = self.cluster
        if kind == "trainer":
            trainers = cluster.trainers()
            if not trainers:
                return False
            name, pid = self.generator.choice(trainers)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
        elif kind == "agent":
            name = self.generator.choice(sorted(cluster.agents))
            cluster.agents[name].kill()
            cluster.start_agent(name)
        elif kind == "scheduler":
            cluster.scheduler.kill()
            cluster.start_scheduler()
        else:
            cluster.storage.kill()
            cluster.start_storage()
        self.kills.append(kind)
        return True


def disturbed(text, generator, seconds, acknowledged=None):
    """One study under a kill of every kind in a random order; returns (outcome, kept, kills).

    Undisturbed it takes about `seconds`; the kills are spread over that, since a machine can be fast or slow.
    """
    with Folder() as folder:
        cluster = Cluster(folder).start()
        disturber = Disturber(cluster, generator)
        try:
            name = cluster.create_study(write_study(folder / "study.yaml", text))
            order = ["scheduler", "storage", "agent", "trainer"]
            generator.shuffle(order)
            longest_pause = seconds / len(order)
            while order:
                # The moment is the point here: a random one, not the one after some event.
                time.sleep(generator.uniform(0, longest_pause))
                try:
                    if acknowledged is not None:
                        acknowledged.update(cluster.digests(name))
                    over = cluster.study(name)["state"] != "RUNNING"
                except Refused:
                    over = False
                if over:
                    break
                if disturber.kill(order[0]):
                    order.pop(0)
            cluster.wait_study(name)
            wait_collected(cluster, name)
            result = outcome(cluster, name), kept(cluster, name), disturber.kills
            replay = cluster.rows("studies", "replay", name)[0]
            assert int(replay["decisions_count"]) > 0 and not replay.get("differences"), replay
            damaged = [row for row in cluster.rows("storage", "verify") if row.get("damaged")]
            assert not damaged, f"verify found damage: {damaged}"
            cluster.stop()
            return result
        finally:
            cluster.kill()


def compare(expected, found, what):
    for key in expected:
        assert expected[key] == found[key], f"{what}: {key} differs:\n  expected {expected[key]}\n  found    {found[key]}"


def run_random(rounds, seed):
    text = small_study(RANDOM)
    expected, expected_kept, seconds = undisturbed(text)
    assert expected["state"] == "SUCCEEDED" and len(expected["digests"]) == 6 * 4, expected
    assert len(expected_kept) == 2 * 4, expected_kept
    total = 0
    for number in range(1, rounds + 1):
        generator = random.Random(f"{seed}/{number}")
        found, found_kept, kills = disturbed(text, generator, seconds)
        compare(expected, found, f"round {number} of seed {seed}, kills {kills}")
        assert expected_kept == found_kept, f"round {number}: kept {found_kept}, expected {expected_kept}"
        total += len(kills)
        print(f"round {number}/{rounds}: same as undisturbed after kills of {', '.join(kills) or 'nothing'}", flush=True)
    assert total >= 2 * rounds, f"only {total} kills in {rounds} rounds: the study is over too soon to disturb it"
    print(f"{total} kills in {rounds} rounds, 0 differences", flush=True)


def run_asha(rounds, seed):
    text = small_study(ASHA, epochs=ASHA_EPOCHS)
    expected, _, seconds = undisturbed(text)
    known = dict(expected["digests"])
    for number in range(1, rounds + 1):
        generator = random.Random(f"{seed}/{number}")
        acknowledged = {}
        found, found_kept, kills = disturbed(text, generator, seconds, acknowledged)
        assert found["state"] == "SUCCEEDED", found["state"]
        for trial in found["values"]:
            assert found["values"][trial] == expected["values"][trial], f"{trial} drew other values"
        for key, digest in found["digests"].items():
            assert known.setdefault(key, digest) == digest, f"round {number}, kills {kills}: {key} has another digest"
        for key, digest in acknowledged.items():
            assert found["digests"].get(key) == digest, f"round {number}: {key} was acknowledged and is gone"
        check_promotions(found["promotions"], reduction=3)
        print(f"round {number}/{rounds}: every epoch as in other runs after kills of {', '.join(kills) or 'nothing'}",
              flush=True)


def check_promotions(promotions, reduction):
    """No trial is promoted twice out of a rung, and each was within the rung's share when it was decided."""
    seen = set()
    for trial, decision in promotions:
        rung, rank, size = (int(decision[key]) for key in ("rung_epochs", "rank", "rung_size"))
        assert rank <= size // reduction, f"{trial} was promoted with rank {rank} of {size} at {rung} epochs"
        assert (trial, rung) not in seen, f"{trial} was promoted twice out of the rung at {rung} epochs"
        seen.add((trial, rung))
    assert seen, "no promotions at all"


def run_retries():
    """Losses and failures are counted: a run that has one too many ends FAILED, and the text says so."""
    fail_again_and_again("LOST", "LOST", "max_losses", lambda cluster: cluster.agents["worker1"].kill(),
                         lambda cluster: cluster.start_agent("worker1", "cpu:1"))
    fail_again_and_again("FAILED", "SIGNAL", "max_retries",
                         lambda cluster: os.kill(cluster.trainers()[0][1], signal.SIGKILL),
                         lambda cluster: None)


def fail_again_and_again(attempt_state, reason, limit, strike, recover):
    """One trial whose every attempt is ended by strike(), where `limit` allows two.

    A new epoch would begin the count anew, so epochs are long: most of MNIST.
    """
    text = small_study("random: {trial_count: 1}", epochs=200, examples=50000).replace(f"{limit}: 1000", f"{limit}: 2")
    with Folder() as folder:
        cluster = Cluster(folder).start(slots="cpu:1")
        try:
            name = cluster.create_study(write_study(folder / "study.yaml", text))

            def attempts():
                return cluster.rows("trials", "get", f"{name}/trials/1")[0]["attempts"]

            wait_until(lambda: cluster.digests(name), "epoch 0")
            for count in (1, 2, 3):
                wait_until(lambda: len(attempts()) == count and attempts()[-1]["state"] == "RUNNING", "running attempt")
                strike(cluster)
                wait_until(lambda: attempts()[count - 1]["state"] == attempt_state, f"{attempt_state} attempt")
                recover(cluster)
            study = cluster.wait_study(name)
            trial = cluster.rows("trials", "get", f"{name}/trials/1")[0]
            assert trial["state"] == "FAILED" and study["state"] == "FAILED", (trial["state"], study["state"])
            assert [attempt["state"] for attempt in trial["attempts"]] == [attempt_state] * 3, trial["attempts"]
            assert trial["failure"]["reason"] == reason and limit in trial["failure"]["message"], trial["failure"]
            print(f"FAILED after 3 {attempt_state} attempts: {trial['failure']['message']}", flush=True)
            cluster.stop()
        finally:
            cluster.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("random", "asha", "retries"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", default="1")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}; the same command with --seed {arguments.seed} kills in the same order", flush=True)
    if arguments.what == "random":
        run_random(arguments.rounds, arguments.seed)
    elif arguments.what == "asha":
        run_asha(arguments.rounds, arguments.seed)
    else:
        run_retries()


if __name__ == "__main__":
    main()
