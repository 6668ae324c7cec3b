"""Tunes LeNet on MNIST from Python: submits a study, follows it, prints the winner.

Needs a running cluster ("headstart up") and two packages: pip install grpcio grpcio-tools

  python3 examples/python/submit_study.py [--data DIR | --server ADDRESS] [--trials 9] [--examples 0]

There is no headstart package for Python: the .proto files say everything, and this file shows how little is needed.
They are compiled when the program starts, so nothing generated lies around.
"""
import argparse
import pathlib
import sys
import tempfile
import time
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
PACKAGE = "headstart.v1."


def load_protos():
    """A pool that knows every message and service of proto/headstart/v1."""
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "headstart.descriptors"
        files = sorted(str(path) for path in (PROTO / "headstart" / "v1").glob("*.proto"))
        if protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}",
                        *files]) != 0:
            sys.exit(f"the files in {PROTO} cannot be compiled")
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:  # Imports come before the files that need them.
        pool.Add(file)
    return pool


class Service:
    """The methods of one gRPC service, as functions of a dict: the JSON form of the request."""

    def __init__(self, channel, pool, name):
        for method in pool.FindServiceByName(PACKAGE + name).methods:
            request = message_factory.GetMessageClass(method.input_type)
            response = message_factory.GetMessageClass(method.output_type)
            streams = getattr(method, "server_streaming", method.name.startswith("Watch"))
            make = channel.unary_stream if streams else channel.unary_unary
            call = make(f"/{PACKAGE}{name}/{method.name}", request_serializer=request.SerializeToString,
                        response_deserializer=response.FromString)
            setattr(self, method.name, lambda fields, call=call, request=request: call(
                json_format.ParseDict(fields, request()), wait_for_ready=True))


def study(trials, examples):
    """What examples/mnist.yaml says, smaller."""
    return {
        "display_name": "from-python",
        "training": {
            "model": {"lenet_300_100": {}},
            "dataset": {"mnist": {"validation_examples": examples // 5 if examples else 5000, "train_examples": examples}},
            "epochs": 9,
            "batch_size": 128,
            "optimizer": {"adam": {"learning_rate": 0.0012}},
        },
        "search": {
            "parameters": [
                {"path": "optimizer.adam.learning_rate", "double": {"min": 1e-4, "max": 1e-1, "scale": "LOG"}},
                {"path": "batch_size", "integer_list": {"values": [60, 128, 256]}},
                {"path": "initializer", "choice": {"values": [{"xavier_normal": {}}, {"kaiming_uniform": {}}]}},
            ],
            "asha": {"trial_count": trials, "min_epochs": 1, "reduction": 3},
        },
        "objective": {"metric": "VALIDATION_ACCURACY", "goal": "MAXIMIZE"},
        "seed": 42,
    }


def follow(tuning, name):
    """Prints a line whenever the best trial changes; returns the study once it is over."""
    best = None
    while True:
        try:
            for update in tuning.WatchStudy({"name": name}):
                now = update.study
                if now.best_trial and (now.best_trial, now.best_epoch) != best:
                    best = (now.best_trial, now.best_epoch)
                    print(f"{now.recorded_epochs} epochs, best so far {now.best_trial}: {now.best_objective:.2%} "
                          f"at epoch {now.best_epoch}", flush=True)
            return now
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(1)  # The scheduler restarts; the study goes on.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="./headstart-data", help="data folder of a running headstart up")
    parser.add_argument("--server", help="address of a scheduler instead, such as 127.0.0.1:7700")
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--examples", type=int, default=0, help="training examples to use; 0 for all")
    arguments = parser.parse_args()

    server = arguments.server
    if not server:
        try:
            server = (pathlib.Path(arguments.data) / "endpoints" / "scheduler").read_text().strip()
        except FileNotFoundError:
            sys.exit(f"nothing serves {arguments.data}; start it with: headstart up --data {arguments.data}")
    with grpc.insecure_channel(server) as channel:
        tuning = Service(channel, load_protos(), "TuningService")
        try:
            # With the same request_id this call could be repeated after a lost answer: one study, not two.
            created = tuning.CreateStudy({"study": study(arguments.trials, arguments.examples),
                                          "request_id": str(uuid.uuid4())})
            print(f"{created.study.name}: {created.plan.trial_count} trials, about {created.plan.epochs} epochs")
            over = follow(tuning, created.study.name)
            print(f"{over.name} {type(over).State.Name(over.state)} {over.state_message}".rstrip())
            if type(over).State.Name(over.state) != "SUCCEEDED":
                return 1
            winner = tuning.GetTrial({"name": over.best_trial})
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    print(f"winner {winner.name}: {winner.objective:.2%} after {winner.epoch} epochs")
    for value in winner.values:
        print(f"  {value.path} = {value.value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
