"""Shows each check of tidy.py a sample it must object to, and one it must not."""

import unittest

import tidy

HEADER = "// What it is for.\n#pragma once\n"


def findings(check, files):
    return list(check(tidy.Tree(files)))


class TidyTest(unittest.TestCase):

    def expect(self, check, bad, good, word):
        """`bad` gives one finding that has `word` in it, `good` none."""
        found = findings(check, bad)
        self.assertEqual(len(found), 1, found)
        self.assertIn(word, found[0])
        self.assertEqual(findings(check, good), [])

    def expect_line(self, check, path, bad, good, word, others=()):
        """The same for one line of a file."""
        rest = {other: HEADER for other in others}
        self.expect(check, {path: bad, **rest}, {path: good, **rest}, word)

    def test_folders_include_what_lies_below(self):
        self.expect_line(
            tidy.check_includes, "scheduler/journal/a.cc",
            '#include "storage/blob/digest.h"', '#include "base/names.h"',
            "scheduler/journal may not include storage/blob",
            ["storage/blob/digest.h", "base/names.h"])

    def test_the_agent_may_read_data_set_files_and_the_trainer_not_protos(self):
        self.expect(
            tidy.check_includes,
            {"worker/trainer/a.cc": '#include "headstart/v1/study.pb.h"'},
            {"worker/agent/a.cc": '#include "worker/dataset_files/b.h"',
             "worker/dataset_files/b.h": HEADER},
            "worker/trainer may not include proto")

    def test_includes_start_at_the_root(self):
        self.expect_line(
            tidy.check_includes, "base/a.cc", '#include "base/gone.h"',
            '#include "base/names.h"', "is no file", ["base/names.h"])

    def test_a_new_folder_needs_a_rule(self):
        self.expect(
            tidy.check_includes,
            {"storage/cloud/a.cc": '#include "base/names.h"', "base/names.h": HEADER},
            {"storage/codec/a.cc": '#include "base/names.h"', "base/names.h": HEADER},
            "not in MAY_INCLUDE")

    def test_only_tests_include_tests(self):
        fake = "tests/support/fake_clock.h"
        self.expect(
            tidy.check_includes,
            {"base/a.cc": f'#include "{fake}"', fake: HEADER},
            {"base/a_test.cc": f'#include "{fake}"', fake: HEADER}, "only tests may")

    def test_the_pure_scheduler_sees_little_of_base(self):
        self.expect_line(
            tidy.check_includes, "scheduler/core/a.cc", '#include "base/clock.h"',
            '#include "base/check.h"', "pure", ["base/clock.h", "base/check.h"])

    def test_implementations_are_named_in_main(self):
        line = {"scheduler/journal/rocksdb_journal.h": HEADER,
                "scheduler/journal/journal.h": HEADER}
        include = '#include "scheduler/journal/rocksdb_journal.h"'
        self.expect(
            tidy.check_includes,
            {"scheduler/service/engine.cc": include, **line},
            {"scheduler/service/main.cc": include, **line}, "names the class")

    def test_libraries_stay_in_their_folders(self):
        for bad, line, good in [
                ("worker/agent/a.cc", "<torch/nn.h>", "worker/models/a.cc"),
                ("scheduler/core/a.cc", "<grpcpp/server.h>", "base/net/a.cc"),
                ("worker/trainer/a.cc", "<google/protobuf/message.h>",
                 "scheduler/core/a.cc"),
                ("client/a.cc", '"nlohmann/json.hpp"', "worker/trainer/a.cc"),
                ("storage/pack/a.cc", '"rocksdb/db.h"', "storage/pack/rocksdb_a.cc"),
                ("storage/pack/a.cc", "<openssl/evp.h>", "storage/blob/digest.cc"),
                ("base/a.cc", "<CLI/CLI.hpp>", "storage/server/main.cc"),
                ("base/clock.cc", "<spdlog/spdlog.h>", "base/log.cc"),
                ("storage/pack/a.h", "<prometheus/counter.h>", "storage/pack/a.cc"),
                ("base/a.cc", "<gtest/gtest.h>", "base/a_test.cc")]:
            with self.subTest(line):
                self.expect(tidy.check_libraries, {bad: f"#include {line}"},
                            {good: f"#include {line}"}, "only in")

    def test_time_and_chance_come_from_base(self):
        for path, bad, good in [
                ("scheduler/service/a.cc", "auto t = absl::Now();", "clock.Now();"),
                ("base/a_test.cc", "absl::SleepFor(kWhile);", "// absl::SleepFor("),
                ("worker/agent/a.cc", "sleep(1);", 'Say("sleep(1)");'),
                ("base/a.cc", "int x = rand();", "int x = operand();"),
                ("base/a.cc", "std::random_device d;", "RandomStream stream(7);"),
                ("worker/training/a.cc", "torch::manual_seed(1);", "Seed(1);"),
                ("scheduler/core/a.cc", "absl::flat_hash_map<int, int> m;",
                 "// Only looked up, never walked.\nabsl::flat_hash_map<int, int> m;"),
                ("scheduler/search/a.cc", "std::thread t;", "int thread;")]:
            with self.subTest(bad):
                self.expect_line(tidy.check_banned_calls, path, bad, good, path)

    def test_sources_are_listed(self):
        self.expect(
            tidy.check_cmake_lists,
            {"base/CMakeLists.txt": "headstart_test(b_test)", "base/a_test.cc": ""},
            {"base/CMakeLists.txt": "headstart_test(a_test)", "base/a_test.cc": ""},
            "is in no CMakeLists.txt")

    def test_sources_of_a_folder_without_a_list_are_in_the_one_above(self):
        self.expect(
            tidy.check_cmake_lists,
            {"initializers/CMakeLists.txt": "xavier.cc",
             "initializers/classic/xavier.cc": ""},
            {"initializers/CMakeLists.txt": "classic/xavier.cc",
             "initializers/classic/xavier.cc": ""}, "initializers/CMakeLists.txt")

    def test_long_files_need_a_reason(self):
        self.expect(tidy.check_length, {"base/a.cc": "\n" * 601},
                    {"base/a.cc": "\n" * 600}, "601 lines")

    def test_headers_say_what_they_are_for(self):
        self.expect(tidy.check_first_lines, {"base/a.h": "#pragma once\n\n#pragma once\n"},
                    {"base/a.h": HEADER}, "begin with a sentence")
        self.expect(tidy.check_first_lines, {"base/a.h": "// What.\n"},
                    {"base/a.h": HEADER}, "#pragma once")

    def test_documents_name_files_that_exist(self):
        files = {"base/names.h": HEADER, "base/names.cc": "", "docs/a.md": ""}
        for bad, good in [
                ("see `base/name.h`", "see `base/names.h`"),
                ("`base/names.{h,md}`", "`base/names.{h,cc}`"),
                ("`base/gone/`", "`base/`"),
                ("[it](b.md)", "[it](a.md#part)"),
                ("[it](../base/c.h)", "[it](../base/names.h)")]:
            with self.subTest(bad):
                self.expect(tidy.check_names_in_docs, {**files, "docs/x.md": bad},
                            {**files, "docs/x.md": good}, "docs/x.md:1")

    def test_comments_name_documents_that_exist(self):
        self.expect(tidy.check_names_in_docs,
                    {"base/a.h": "// docs/gone.md", "docs/a.md": ""},
                    {"base/a.h": "// docs/a.md", "docs/a.md": ""}, "docs/gone.md")

    def test_no_file_names_a_folder_of_one_machine(self):
        self.expect_line(tidy.check_machine_paths, "deploy/a.sh", "cd /home/me/it",
                         "cd $HOME/it; ls x/home/y", "one machine")

    def test_marks_name_an_issue(self):
        self.expect_line(tidy.check_marks, "base/a.cc", "// TODO: later",
                         "// TODO(#12): later", "name an issue")

    def test_torch_and_protobuf_are_never_linked_together(self):
        edge = "build bin/x: CXX_EXECUTABLE_LINKER__x a.o\n  LINK_LIBRARIES = {}\n"
        both = "lib/libtorch_cpu.so  lib/libprotobuf.so"
        ok = edge.format("lib/libtorch_cpu.so") + edge.format("lib/libprotobuf.so")
        self.assertEqual(list(tidy.check_links(ok)), [])
        found = list(tidy.check_links(ok + edge.format(both)))
        self.assertEqual(len(found), 1)
        self.assertIn("bin/x", found[0])

    def test_no_file_sees_headers_of_both(self):
        torch, proto = "-isystem t/torch/csrc/api/include", "-isystem b/proto/generated"
        entry = {"file": "a.cc", "command": f"c++ {torch} {proto}"}
        self.assertEqual(len(list(tidy.check_include_folders([entry]))), 1)
        apart = [{"file": "a.cc", "command": torch}, {"file": "b.cc", "command": proto}]
        self.assertEqual(list(tidy.check_include_folders(apart)), [])

    def test_each_check_has_a_sample_here(self):
        with open(__file__, encoding="utf-8") as file:
            text = file.read()
        for check in tidy.CHECKS:
            self.assertIn(f"tidy.{check.__name__}", text)


if __name__ == "__main__":
    unittest.main()
