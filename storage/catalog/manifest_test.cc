#include "storage/catalog/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/random_stream.h"
#include "storage/catalog/manifests_for_tests.h"
#include "tests/support/status_matchers.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;

constexpr char kRun[] = "studies/1/trials/1";

v1::Manifest Weights() { return MakeEpoch(kRun, 3, 1).request.manifest(); }
v1::Manifest Resume() {
  return MakeEpoch(kRun, 3, 1).request.resume_manifest();
}

TEST(ManifestTest, AcceptsWhatAgentsMake) {
  EXPECT_OK(CheckManifest(Weights()));
  EXPECT_OK(CheckManifest(Resume()));
  EXPECT_EQ(NameOf(Weights()).ToString(), "studies/1/trials/1/epochs/3");
  EXPECT_EQ(NameOf(Resume()).ToString(), "studies/1/trials/1/epochs/3/resume");
  EXPECT_EQ(TensorBytes(Weights()), 8192 + 40 + 8);
}

TEST(ManifestTest, EqualManifestsHaveEqualDigests) {
  EXPECT_EQ(ManifestDigest(Weights()), ManifestDigest(Weights()));
  v1::Manifest other = Weights();
  other.set_epoch(4);
  EXPECT_NE(ManifestDigest(Weights()), ManifestDigest(other));

  // Read back from its canonical bytes it is the same.
  v1::Manifest read;
  ASSERT_TRUE(read.ParseFromString(CanonicalBytes(Weights())));
  EXPECT_EQ(CanonicalBytes(read), CanonicalBytes(Weights()));
}

TEST(ManifestTest, NamesEachBlobOnce) {
  v1::Manifest manifest = Weights();
  AddTensor(manifest, "tied.weight", v1::Tensor::PARAMETER,
            TensorData(2, 100 + 1));
  ASSERT_OK(CheckManifest(manifest));

  const std::vector<ManifestBlob> blobs = BlobsOf(manifest);

  ASSERT_EQ(blobs.size(), 1u);
  EXPECT_EQ(blobs[0].bytes, 8192);
  EXPECT_EQ(blobs[0].digest, Digest::Of(TensorData(2, 101)));
}

struct BadManifest {
  std::string what;
  std::string says;
  std::function<void(v1::Manifest&)> change;
};

class BadManifestTest : public testing::TestWithParam<BadManifest> {};

TEST_P(BadManifestTest, IsRefused) {
  v1::Manifest manifest = Weights();
  GetParam().change(manifest);
  EXPECT_THAT(CheckManifest(manifest),
              StatusIs(StatusCode::kInvalidArgument, GetParam().says));
}

v1::Tensor& First(v1::Manifest& m) { return *m.mutable_tensors(0); }

INSTANTIATE_TEST_SUITE_P(
    Cases, BadManifestTest,
    testing::Values(
        BadManifest{"NoVersion", "format_version 0",
                    [](auto& m) { m.clear_format_version(); }},
        BadManifest{"NewerVersion", "format_version 2",
                    [](auto& m) { m.set_format_version(2); }},
        BadManifest{"NotARun", "manifest.run",
                    [](auto& m) { m.set_run("studies/1"); }},
        BadManifest{"NegativeEpoch", "manifest.epoch",
                    [](auto& m) { m.set_epoch(-1); }},
        BadManifest{"HugeEpoch", "manifest.epoch",
                    [](auto& m) { m.set_epoch(INT64_MAX); }},
        BadManifest{"NoTensors", "there are none",
                    [](auto& m) { m.clear_tensors(); }},
        BadManifest{"ShortParent", "parent",
                    [](auto& m) { m.set_parent("short"); }},
        BadManifest{"LongModel", "model",
                    [](auto& m) { m.set_model(std::string(1001, 'x')); }},
        BadManifest{"LineInModel", "model",
                    [](auto& m) { m.set_model("a\nb"); }},
        BadManifest{"TooLarge", "as one manifest",
                    [](auto& m) {
                      for (int i = 0; i < 500; ++i) {
                        AddTensor(m, absl::StrCat("t", i),
                                  v1::Tensor::PARAMETER,
                                  std::string(4092, 'x'));
                      }
                    }},
        BadManifest{"EmptyName", "names must be unique",
                    [](auto& m) { First(m).clear_name(); }},
        BadManifest{"SameNameTwice", "names must be unique",
                    [](auto& m) { First(m).set_name("fc.bias"); }},
        BadManifest{"MetadataAsName", "names must be unique",
                    [](auto& m) { First(m).set_name("__metadata__"); }},
        BadManifest{"UnknownDType", "fc.weight",
                    [](auto& m) { First(m).set_dtype("F31"); }},
        BadManifest{"NegativeDimension", "fc.weight",
                    [](auto& m) { First(m).set_shape(0, -1); }},
        BadManifest{"NegativeDimensionBehindZero", "dimensions are 0 or more",
                    [](auto& m) {
                      First(m).set_shape(0, 0);
                      First(m).add_shape(-5);
                    }},
        BadManifest{"OverflowingShape", "more than",
                    [](auto& m) {
                      First(m).set_shape(0, int64_t{1} << 62);
                      First(m).add_shape(8);
                    }},
        BadManifest{"ManyDimensions", "dimensions",
                    [](auto& m) {
                      for (int i = 0; i < 16; ++i) First(m).add_shape(1);
                    }},
        BadManifest{"NoRole", "role", [](auto& m) { First(m).clear_role(); }},
        BadManifest{"ResumeRole", "must be PARAMETER, BUFFER, MASK or INSERTED",
                    [](auto& m) { First(m).set_role(v1::Tensor::OPTIMIZER); }},
        BadManifest{"NoData", "belong into a blob",
                    [](auto& m) { First(m).clear_data(); }},
        BadManifest{"ShortDigest", "32 bytes",
                    [](auto& m) { First(m).set_digest("short"); }},
        BadManifest{
            "LargeTensorInlined", "belong into a blob",
            [](auto& m) { First(m).set_inlined(std::string(8192, 'x')); }},
        BadManifest{"SmallTensorAsBlob", "belong into `inlined`",
                    [](auto& m) {
                      m.mutable_tensors(1)->set_digest(std::string(32, 'd'));
                    }},
        BadManifest{"InlinedOfAnotherSize", "its 40 bytes",
                    [](auto& m) {
                      m.mutable_tensors(1)->set_inlined(std::string(39, 'x'));
                    }},
        BadManifest{"OneDigestTwoSizes", "another size",
                    [](auto& m) {
                      v1::Tensor tensor = m.tensors(0);
                      tensor.set_name("other");
                      tensor.set_shape(0, 4096);
                      *m.add_tensors() = tensor;
                    }}),
    [](const auto& info) { return info.param.what; });

TEST(ManifestTest, RefusesWeightsInAResumeManifest) {
  v1::Manifest manifest = Resume();
  manifest.mutable_tensors(0)->set_role(v1::Tensor::PARAMETER);

  EXPECT_THAT(CheckManifest(manifest),
              StatusIs(StatusCode::kInvalidArgument, "OPTIMIZER or STATE"));
}

TEST(ManifestTest, RefusesFieldsItDoesNotKnow) {
  v1::Manifest manifest;
  // Field 100, of the manifest and then of its first tensor.
  ASSERT_TRUE(
      manifest.ParseFromString(CanonicalBytes(Weights()) + "\xa0\x06\x01"));
  EXPECT_THAT(CheckManifest(manifest),
              StatusIs(StatusCode::kInvalidArgument, "does not know"));

  manifest = Weights();
  ASSERT_TRUE(manifest.mutable_tensors(0)->MergeFromString("\xa0\x06\x01"));
  EXPECT_THAT(CheckManifest(manifest),
              StatusIs(StatusCode::kInvalidArgument, "does not know"));
}

// Whatever arrives is either refused or safe for all that read it later.
TEST(ManifestTest, SurvivesMutatedManifests) {
  const std::string good = CanonicalBytes(Weights());
  RandomStream random = RandomStream(11).Child("mutations");
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    const int64_t count = 1 + random.UniformInt(4);
    for (int64_t j = 0; j < count; ++j) {
      bad[random.UniformInt(bad.size())] =
          static_cast<char>(random.UniformInt(256));
    }
    v1::Manifest manifest;
    if (!manifest.ParseFromString(bad) || !CheckManifest(manifest).ok()) {
      continue;
    }
    ++accepted;
    EXPECT_GE(TensorBytes(manifest), 0);
    for (const ManifestBlob& blob : BlobsOf(manifest)) {
      EXPECT_GE(blob.bytes, kInlineBytesLimit);
    }
    EXPECT_FALSE(NameOf(manifest).ToString().empty());
  }
  EXPECT_GT(accepted, 100);  // Bytes of tensors may be anything.
}

}  // namespace
}  // namespace headstart::storage
