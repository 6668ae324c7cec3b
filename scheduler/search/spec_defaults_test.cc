#include "scheduler/search/spec_defaults.h"

#include <cmath>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "scheduler/search/spec_facts.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

constexpr char kSmall[] = R"(
  model { lenet_300_100 { negative_slope: 0 } }
  dataset { mnist { validation_examples: 5000 } }
  epochs: 9 batch_size: 60
  optimizer { adam { learning_rate: 0.0012 } } )";

// `changes` is merged over the small spec.
v1::TrainingSpec SpecOf(const std::string& changes) {
  v1::TrainingSpec spec;
  v1::TrainingSpec change;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(kSmall, &spec));
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(changes, &change));
  spec.MergeFrom(change);
  return spec;
}

TEST(SpecDefaultsTest, FillsWhatTheProtoPromises) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("schedule { cosine {} } initializer { kaiming_normal {} }"),
      "training");

  v1::TrainingSpec expected;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(R"(
    model { lenet_300_100 { negative_slope: 0 } }
    dataset { mnist { validation_examples: 5000 train_examples: 0
                      split_seed: 0 split: STRATIFIED split_per_run: false
                      normalization {} chunks: 1 chunk: 1 } }
    epochs: 9 batch_size: 60
    optimizer { adam { learning_rate: 0.0012 beta1: 0.9 beta2: 0.999
                       epsilon: 1e-8 weight_decay: 0 }
                groups {
                  norm { learning_rate_factor: 1 weight_decay_factor: 1 }
                  scale { learning_rate_factor: 1 weight_decay_factor: 1 }
                  bias { learning_rate_factor: 1 weight_decay_factor: 1 } } }
    schedule { cosine { step: PER_EPOCH period_epochs: 9
                        final_learning_rate: 0 } }
    initializer { kaiming_normal { mode: FAN_IN } }
    evaluate: TEST_LAST_EPOCH
    loss { label_smoothing: 0 auxiliary_weight: 0.4 }
    augmentation { crop_padding: 0 flip_probability: 0 cutout_size: 0
                   mixup_alpha: 0 }
    clip_gradient_norm: 0 precision: FP32 accumulation_steps: 1
    deterministic: true
    evaluate_start: false)",
                                                         &expected));
  expected.mutable_initializer()->mutable_kaiming_normal()->set_gain(
      std::sqrt(2.0));
  EXPECT_EQ(spec.DebugString(), expected.DebugString());
}

TEST(SpecDefaultsTest, CompletesOnce) {
  const v1::TrainingSpec once = *CompleteSpec(SpecOf(""), "training");
  EXPECT_TRUE(once.schedule().has_constant());
  EXPECT_TRUE(once.initializer().has_framework_default());
  EXPECT_EQ(CompleteSpec(once, "training")->DebugString(), once.DebugString());
}

TEST(SpecDefaultsTest, FillsTheStepsOfAChain) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("initializer { chain { steps { orthogonal {} } steps { for_layers "
             "{ initializer { truncated_normal {} } } } } }"),
      "training");
  const v1::Chain& chain = spec.initializer().chain();
  EXPECT_EQ(chain.steps(0).orthogonal().gain(), 1);
  const v1::TruncatedNormal& normal =
      chain.steps(1).for_layers().initializer().truncated_normal();
  EXPECT_EQ(normal.deviation(), 0.02);
  EXPECT_EQ(normal.cut_unit(), v1::CUT_AT_VALUE);
}

TEST(SpecDefaultsTest, FillsWhatStartsFromCheckpoints) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("initializer { chain { steps { mean { checkpoints: "
             "['studies/1/trials/1/epochs/1', 'studies/2/winner/epochs/3'] } } "
             "steps { checkpoint { checkpoint: 'trainings/1/runs/1/epochs/0' "
             "fresh_layers: 'fc' buffers: false } } "
             "steps { shrink_perturb {} } steps { keep_blocks { blocks: 2 } } "
             "} }"),
      "training");
  const v1::Chain& chain = spec.initializer().chain();
  EXPECT_TRUE(chain.steps(0).mean().buffers());
  EXPECT_TRUE(chain.steps(1).checkpoint().has_buffers());
  EXPECT_FALSE(chain.steps(1).checkpoint().buffers());
  EXPECT_EQ(chain.steps(2).shrink_perturb().shrink(), 0.4);
  EXPECT_EQ(chain.steps(2).shrink_perturb().perturb(), 0.1);
  EXPECT_EQ(chain.steps(3).keep_blocks().blocks(), 2);
}

TEST(SpecDefaultsTest, FillsWhatAHypernetworkPredicts) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("initializer { chain { steps { ghn2 { weights: "
             "'imports/ghn2/epochs/0' } } steps { conditional_orthogonal {} } "
             "} }"),
      "training");
  const v1::Chain& chain = spec.initializer().chain();
  EXPECT_TRUE(chain.steps(0).ghn2().predict_classifier());
  const v1::ConditionalOrthogonal& orthogonal =
      chain.steps(1).conditional_orthogonal();
  EXPECT_EQ(orthogonal.first_layer(), 1);
  EXPECT_TRUE(orthogonal.has_noise());
  EXPECT_EQ(orthogonal.noise(), 3e-5);
  EXPECT_EQ(orthogonal.mode(), v1::NOISE_BY_CODE);
}

TEST(SpecDefaultsTest, FillsPruningAndItsSchedule) {
  const v1::TrainingSpec spec =
      *CompleteSpec(SpecOf("pruning { epochs_per_level: 3 } schedule { cosine "
                           "{} warm_up { epochs: 1 } }"),
                    "training");
  const v1::Pruning& pruning = spec.pruning();
  EXPECT_EQ(pruning.rate(), 0.2);
  EXPECT_FALSE(pruning.has_output_rate());
  EXPECT_EQ(pruning.scope(), v1::PRUNE_BY_TENSOR);
  EXPECT_EQ(pruning.rounding(), v1::ROUND_DOWN);
  EXPECT_EQ(pruning.order(), v1::SMALLEST_MAGNITUDE);
  EXPECT_TRUE(pruning.has_biases());
  EXPECT_FALSE(pruning.biases());
  EXPECT_EQ(pruning.reset(), v1::RESET_TO_START);
  EXPECT_TRUE(pruning.has_rewind_epoch());
  EXPECT_TRUE(pruning.reset_optimizer());
  // Each level has a cosine of its own.
  EXPECT_EQ(spec.schedule().cosine().period_epochs(), 2);
}

TEST(SpecDefaultsTest, FillsStagesAndTheirSchedule) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("epochs: 12 stages { count: 3 shrink_perturb {} distillation {} } "
             "schedule { cosine {} warm_up { epochs: 1 } }"),
      "training");
  const v1::Stages& stages = spec.stages();
  EXPECT_EQ(stages.shrink_perturb().shrink(), 0.4);
  EXPECT_EQ(stages.shrink_perturb().perturb(), 0.1);
  EXPECT_EQ(stages.distillation().weight(), 1);
  EXPECT_EQ(stages.distillation().targets(), v1::RECOMPUTED);
  EXPECT_TRUE(stages.reset_optimizer());
  EXPECT_TRUE(stages.has_growing_data());
  // Each stage has a cosine of its own.
  EXPECT_EQ(spec.schedule().cosine().period_epochs(), 3);

  const v1::TrainingSpec by_blocks = *CompleteSpec(
      SpecOf("epochs: 12 stages { layer_wise { blocks: 3 repeats: 2 } } "
             "schedule { cosine {} }"),
      "training");
  EXPECT_FALSE(by_blocks.stages().has_count());
  EXPECT_EQ(by_blocks.stages().layer_wise().rescale(), v1::RESCALE_LAYERS);
  EXPECT_EQ(by_blocks.stages().layer_wise().normalization(),
            v1::NORMALIZE_CHANNELS);
  EXPECT_EQ(by_blocks.schedule().cosine().period_epochs(), 2);
}

TEST(SpecDefaultsTest, FillsSgd) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("optimizer { sgd { learning_rate: 0.1 } }"), "training");
  EXPECT_TRUE(spec.optimizer().sgd().has_momentum());
  EXPECT_TRUE(spec.optimizer().sgd().has_nesterov());
  EXPECT_TRUE(spec.optimizer().sgd().has_weight_decay());
}

struct Refusal {
  const char* name;
  const char* changes;
  const char* says;
};
class SpecRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(SpecRefusals, NamesPathValueAndWhatIsAllowed) {
  EXPECT_THAT(CompleteSpec(SpecOf(GetParam().changes), "training"),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, SpecRefusals,
    testing::Values(
        Refusal{"Epochs", "epochs: -1",
                "training.epochs: must be from 1 to 100000, got -1"},
        Refusal{"BatchSize", "batch_size: 70000", "training.batch_size"},
        Refusal{"AdamRate", "optimizer { adam { learning_rate: -0.1 } }",
                "training.optimizer.adam.learning_rate: must be above 0, got "
                "-0.1"},
        Refusal{"NanRate", "optimizer { adam { learning_rate: nan } }",
                "training.optimizer.adam.learning_rate"},
        Refusal{"Beta", "optimizer { adam { beta2: 1 } }",
                "training.optimizer.adam.beta2: must be 0 or more and below 1"},
        Refusal{"Epsilon", "optimizer { adam { epsilon: 0 } }",
                "training.optimizer.adam.epsilon"},
        Refusal{"SgdWithoutRate", "optimizer { sgd {} }",
                "training.optimizer.sgd.learning_rate"},
        Refusal{"Momentum",
                "optimizer { sgd { learning_rate: 1 momentum: 1.5 } }",
                "training.optimizer.sgd.momentum"},
        Refusal{"Nesterov",
                "optimizer { sgd { learning_rate: 1 nesterov: true } }",
                "training.optimizer.sgd.nesterov: needs momentum above 0"},
        Refusal{"TMaxOfZeroEpochs", "schedule { cosine { period_epochs: 0 } }",
                "training.schedule.cosine.period_epochs: must be from 1"},
        Refusal{"Milestones",
                "schedule { multi_step { milestones: [ 5, 5 ] } }",
                "training.schedule.multi_step.milestones: must be one or more "
                "epochs in ascending order"},
        Refusal{"Milestone", "schedule { multi_step { milestones: [ 5, 0 ] } }",
                "training.schedule.multi_step.milestones[1]: must be from 1"},
        Refusal{
            "WarmUp", "schedule { warm_up {} }",
            "training.schedule.warm_up.epochs: must be from 1 to 100000, got "
            "0"},
        Refusal{"WarmUpOverAll", "schedule { warm_up { epochs: 9 } }",
                "training.schedule.warm_up.epochs: must be fewer than epochs "
                "(9), got 9"},
        Refusal{"Rise", "schedule { one_cycle { rise: 1 } }",
                "training.schedule.one_cycle.rise: must be above 0 and below "
                "1, got 1"},
        Refusal{"BatchLargerThanData",
                "batch_size: 600 dataset { mnist { train_examples: 5500 } }",
                "training.batch_size: must be at most the 500 examples that "
                "are trained on, got 600"},
        Refusal{"Parts", "accumulation_steps: 61",
                "training.accumulation_steps: must be at most batch_size (60)"},
        Refusal{"Smoothing", "loss { label_smoothing: 1 }",
                "training.loss.label_smoothing: must be 0 or more and below 1, "
                "got 1"},
        Refusal{"Flip", "augmentation { flip_probability: 1.5 }",
                "training.augmentation.flip_probability: must be from 0 to 1"},
        Refusal{"CropOfNoJpeg", "augmentation { random_resized_crop {} }",
                "training.augmentation.random_resized_crop: is for data sets "
                "of JPEG files only, and mnist is none"},
        Refusal{"Precision", "precision: 9",
                "training.precision: must be one of FP32, FP64, BF16, got "
                "number 9"},
        Refusal{"StopsWithoutValidation",
                "dataset { mnist { validation_examples: 0 } } "
                "early_stop { validation_accuracy: 0.9 }",
                "training.early_stop: needs a validation split"},
        Refusal{"Chunk", "dataset { mnist { chunks: 2 chunk: 3 } }",
                "training.dataset.mnist.chunk: must be from 1 to chunks (2), "
                "got 3"},
        Refusal{"Normalization",
                "dataset { mnist { normalization { mean: [ 0.5, 0.5 ] } } }",
                "training.dataset.mnist.normalization: needs 1 numbers"},
        Refusal{"ClassesOfMnist", "dataset { mnist { classes: 5 } }",
                "training.dataset.mnist.classes: is for data sets of JPEG "
                "files only"},
        Refusal{"NoFolder", "dataset { image_folder {} }",
                "training.dataset.image_folder.folder: must be the name of a "
                "folder"},
        Refusal{"FolderElsewhere",
                "dataset { image_folder { folder: '../secret' } }",
                "letters, digits, '-', '_' and '.', not '.' first, got "
                "\"../secret\""},
        Refusal{"FolderWithoutClasses",
                "dataset { image_folder { folder: 'cats' } }",
                "training.dataset.image_folder.classes: is required"},
        Refusal{"SmallForInception", "model { inception_v3 {} }",
                "training.model: inception_v3 needs at least 75x75 input"},
        Refusal{"SyntheticSplit",
                "dataset { synthetic { train_examples: 100 test_examples: 10 "
                "validation_examples: 15 } }",
                "training.dataset.synthetic.validation_examples: must be a "
                "multiple of 10"},
        Refusal{"Padding", "augmentation { crop_padding: 29 }",
                "training.augmentation.crop_padding: must be at most 28 for "
                "images of 28x28, got 29"},
        Refusal{"Cutout", "augmentation { cutout_size: 57 }",
                "training.augmentation.cutout_size: must be at most 56"},
        Refusal{"EvenKernel",
                "model { sampled_cnn { layers { channels: 8 kernel: 4 } } }",
                "training.model.sampled_cnn.layers[0].kernel: must be odd, got "
                "4."},
        Refusal{"NoLayers", "model { sampled_cnn {} }",
                "training.model.sampled_cnn.layers: is required."},
        Refusal{"HypernetworkOfOddWidth", "model { ghn2 { hidden: 10 } }",
                "training.model.ghn2.hidden: must be a multiple of 4, got 10."},
        Refusal{"SmallForConvnext", "model { convnext_tiny {} }",
                "training.model: convnext_tiny needs at least 32x32 input, and "
                "dataset mnist is 28x28x1. Use a model for small images"},
        Refusal{"SmallForInceptionsHead",
                "model { inception_v3 { auxiliary_head: true } } "
                "dataset { tiny_imagenet { image_size: 224 } }",
                "training.model: inception_v3 needs at least 299x299 input"},
        Refusal{"LevelsLeaveSomethingOver", "pruning { epochs_per_level: 4 }",
                "training.pruning.epochs_per_level: 2 levels are 8 epochs, "
                "which leaves 1 of 9 over. Set epochs to 8 or 12."},
        Refusal{"LevelsThatAreRewoundLeaveSomethingOver",
                "pruning { epochs_per_level: 4 rewind_epoch: 1 }",
                "2 levels are 7 epochs, which leaves 2 of 9 over. Set epochs "
                "to 7 or 10."},
        Refusal{"OneLevel", "pruning { epochs_per_level: 9 }",
                "two levels are 18 epochs, but the run has 9. Nothing would be "
                "pruned"},
        Refusal{"NoLevels", "pruning {}",
                "training.pruning.epochs_per_level: must be from 1"},
        Refusal{"PruningRate", "pruning { epochs_per_level: 3 rate: 1 }",
                "training.pruning.rate: must be above 0 and below 1, got 1"},
        Refusal{"NoPruningRate", "pruning { epochs_per_level: 3 rate: 0 }",
                "training.pruning.rate: must be above 0 and below 1, got 0"},
        Refusal{"OutputRate",
                "pruning { epochs_per_level: 3 output_rate: 0.1 scope: "
                "PRUNE_GLOBALLY }",
                "training.pruning.output_rate: must be 0 or left out with "
                "scope PRUNE_GLOBALLY"},
        Refusal{"RewindBehindTheLevel",
                "pruning { epochs_per_level: 3 rewind_epoch: 3 }",
                "training.pruning.rewind_epoch: must be below "
                "epochs_per_level (3), got 3"},
        Refusal{"RewindWithoutStart",
                "pruning { epochs_per_level: 3 rewind_epoch: 1 reset: "
                "RESET_NOTHING }",
                "training.pruning.rewind_epoch: is for reset RESET_TO_START "
                "only"},
        Refusal{"PruningThatMayStop",
                "pruning { epochs_per_level: 3 } early_stop { "
                "validation_accuracy: 0.9 }",
                "the levels of a run that early_stop may end are not known"},
        Refusal{"StagesLeaveSomethingOver", "stages { count: 4 keep {} }",
                "training.stages.count: 4 stages of 2 epochs leave 1 of 9 "
                "over. Set epochs to 8 or 12."},
        Refusal{"MoreStagesThanEpochs", "stages { count: 10 keep {} }",
                "training.stages.count: 10 stages of 0 epochs leave 9 of 9 "
                "over. Set epochs to 10."},
        Refusal{"BlocksLeaveSomethingOver",
                "stages { layer_wise { blocks: 2 repeats: 2 } }",
                "training.stages.layer_wise.blocks: 4 stages of 2 epochs "
                "leave 1 of 9 over."},
        Refusal{"NoStages", "stages { redraw {} }",
                "training.stages.count: is required."},
        Refusal{"StagesWithoutMethod", "stages { count: 3 }",
                "training.stages: is required. Choose one of shrink_perturb, "
                "redraw, keep and layer_wise."},
        Refusal{"CountOfBlocks", "stages { count: 3 layer_wise { blocks: 3 } }",
                "training.stages.count: layer_wise has blocks * repeats = 3 "
                "stages. Leave it out."},
        Refusal{"OneBlock", "stages { layer_wise { blocks: 1 } }",
                "training.stages.layer_wise.blocks: must be from 2 to 1000, "
                "got 1"},
        Refusal{"StagesShrink",
                "stages { count: 3 shrink_perturb { shrink: 2 } }",
                "training.stages.shrink_perturb.shrink: must be from 0 to 1, "
                "got 2"},
        Refusal{"DistillationWithoutAStageBefore",
                "stages { count: 1 redraw {} distillation {} }",
                "training.stages.distillation: a single stage has none before "
                "it to learn from."},
        Refusal{"CachedTargetsOfMixedImages",
                "stages { count: 3 redraw {} distillation { targets: CACHED } "
                "} augmentation { mixup_alpha: 1 }",
                "training.stages.distillation.targets: must be RECOMPUTED"},
        Refusal{"FirstStageWithoutABatch",
                "stages { count: 9 keep {} growing_data: true } batch_size: "
                "10000",
                "training.stages.growing_data: the first stage has 6111 "
                "examples, fewer than batch_size (10000)."},
        Refusal{"StagesAndPruning",
                "stages { count: 3 keep {} } pruning { epochs_per_level: 3 }",
                "training.stages: must be left out of a run with pruning"},
        Refusal{"StagesOfATicket",
                "stages { count: 3 keep {} } initializer { chain { steps { "
                "kaiming_normal {} } steps { mask { checkpoint: "
                "'trainings/1/runs/1/epochs/4' } } } }",
                "training.stages: must be left out of a run whose initializer "
                "has a mask"},
        Refusal{"WarmUpOverAStage",
                "stages { count: 3 keep {} } schedule { warm_up { epochs: 3 } "
                "}",
                "training.schedule.warm_up.epochs: must be fewer than the "
                "epochs of a stage (3), got 3."},
        Refusal{"WarmUpOverALevel",
                "pruning { epochs_per_level: 3 } schedule { warm_up { epochs: "
                "3 } }",
                "training.schedule.warm_up.epochs: must be fewer than "
                "pruning.epochs_per_level (3), got 3"},
        Refusal{"Gain", "initializer { xavier_normal { gain: 0 } }",
                "training.initializer.xavier_normal.gain"},
        Refusal{"Uniform", "initializer { uniform { min: 2 } }",
                "training.initializer.uniform.max: must be above min, which is "
                "2, got 1"},
        Refusal{"ForLayersKind",
                "initializer { for_layers { initializer { chain { steps { "
                "constant {} } } } } }",
                "training.initializer.for_layers.initializer: must be a rule "
                "for weights"},
        Refusal{"ForLayersRule",
                "initializer { for_layers { initializer { normal { deviation: "
                "-1 } } } }",
                "training.initializer.for_layers.initializer.normal.deviation"},
        Refusal{"NioParts", "initializer { nio { sub_batches: 129 } }",
                "training.initializer.nio.sub_batches: must be at most "
                "batch_size, which is 128, got 129"},
        Refusal{"NioOnePart", "initializer { nio { sub_batches: 1 } }",
                "training.initializer.nio.sub_batches: must be from 2"},
        Refusal{"HypernetworkOfNoName", "initializer { ghn2 {} }",
                "training.initializer.ghn2.weights"},
        Refusal{"OrthogonalFromLayer0",
                "initializer { conditional_orthogonal { first_layer: 0 } }",
                "training.initializer.conditional_orthogonal.first_layer: "
                "must be from 1"},
        Refusal{"NioOverlap", "initializer { nio { overlap: 1 } }",
                "training.initializer.nio.overlap: must be 0 or more and below "
                "1"},
        Refusal{"GradInitCap",
                "initializer { gradinit { max_gradient_norm: 0 } }",
                "training.initializer.gradinit.max_gradient_norm"},
        Refusal{"ChainEmpty", "initializer { chain {} }",
                "training.initializer.chain.steps: is required"},
        Refusal{"ChainStepWithoutKind",
                "initializer { chain { steps { orthogonal {} } steps {} } }",
                "training.initializer.chain.steps[1]: is required. Choose one "
                "of framework_default"},
        Refusal{"ChainStep",
                "initializer { chain { steps { orthogonal { gain: 0 } } } }",
                "training.initializer.chain.steps[0].orthogonal.gain: must be "
                "above 0"},
        Refusal{"ChainInChain",
                "initializer { chain { steps { chain { steps { constant {} } } "
                "} } }",
                "training.initializer.chain.steps[0]: cannot be a chain"},
        Refusal{"ChainUndone",
                "initializer { chain { steps { orthogonal {} } steps { "
                "framework_default {} } } }",
                "training.initializer.chain.steps[1]: framework_default would "
                "undo"},
        Refusal{"Checkpoint", "initializer { checkpoint { checkpoint: 'x' } }",
                "training.initializer.checkpoint.checkpoint"},
        Refusal{"CheckpointInAChain",
                "initializer { chain { steps { orthogonal {} } steps { "
                "checkpoint { checkpoint: 'trials/1' } } } }",
                "training.initializer.chain.steps[1].checkpoint.checkpoint: "
                "\"trials/1\" is not the name of a checkpoint"},
        Refusal{"MeanOfOne",
                "initializer { mean { checkpoints: "
                "'studies/1/trials/1/epochs/1' } }",
                "training.initializer.mean.checkpoints: a mean needs two or "
                "more"},
        Refusal{"MeanOfNone", "initializer { mean {} }",
                "training.initializer.mean.checkpoints: is required"},
        Refusal{"MeanOfOneTwice",
                "initializer { mean { checkpoints: ["
                "'studies/1/trials/1/epochs/1', "
                "'studies/1/trials/2/epochs/1', "
                "'studies/1/trials/1/epochs/1'] } }",
                "training.initializer.mean.checkpoints[2]: "
                "studies/1/trials/1/epochs/1 stands twice"},
        Refusal{"MeanOfWhat",
                "initializer { mean { checkpoints: ["
                "'studies/1/trials/1/epochs/1', 'x'] } }",
                "training.initializer.mean.checkpoints[1]: \"x\" is not"},
        Refusal{"Shrink", "initializer { shrink_perturb { shrink: 1.5 } }",
                "training.initializer.shrink_perturb.shrink: must be from 0 to "
                "1, got 1.5"},
        Refusal{"KeepNoBlock",
                "initializer { chain { steps { orthogonal {} } steps { "
                "keep_blocks {} } } }",
                "training.initializer.chain.steps[1].keep_blocks.blocks: must "
                "be from 1 to 1000, got 0"},
        Refusal{"NothingToKeep", "initializer { keep_blocks { blocks: 1 } }",
                "training.initializer.keep_blocks: there is nothing to keep. "
                "Put it into a chain"},
        Refusal{"NothingToKeepInAChain",
                "initializer { chain { steps { keep_blocks { blocks: 1 } } } }",
                "training.initializer.chain.steps[0].keep_blocks: there is "
                "nothing to keep"},
        Refusal{"NoWeightRule",
                "initializer { for_layers { initializer { mean { checkpoints: "
                "['studies/1/trials/1/epochs/1', "
                "'studies/1/trials/2/epochs/1'] } } } }",
                "training.initializer.for_layers.initializer: must be a rule "
                "for weights"},
        Refusal{"ValidationNotOfEveryClass",
                "dataset { mnist { validation_examples: 5001 } }",
                "training.dataset.mnist.validation_examples: must be a "
                "multiple of 10"},
        Refusal{"ValidationTakesAll",
                "dataset { mnist { train_examples: 5000 } }",
                "training.dataset.mnist.validation_examples: must be from 0 "
                "to 4990, got 5000"},
        Refusal{"TooManyExamples",
                "dataset { mnist { train_examples: 60010 } }",
                "from 0 to 60000"},
        Refusal{"NothingMeasured",
                "dataset { mnist { validation_examples: 0 } }",
                "training.evaluate: must be TEST_EVERY_EPOCH"},
        Refusal{"ModelDoesNotFit",
                "dataset { cifar10 { validation_examples: 5000 } }",
                "training.model: lenet_300_100 needs 28x28x1 input"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SpecDefaultsTest, FillsWhatDependsOnTheKind) {
  const v1::TrainingSpec spec = *CompleteSpec(
      SpecOf("dataset { tiny_imagenet { validation_examples: 200 } } "
             "model { convnext_base {} }"),
      "training");

  EXPECT_EQ(spec.dataset().tiny_imagenet().classes(), 200);
  EXPECT_EQ(spec.dataset().tiny_imagenet().image_size(), 64);
  EXPECT_EQ(spec.model().convnext_base().stem(), v1::IMAGENET);
  EXPECT_EQ(spec.model().convnext_base().stochastic_depth(), 0.5);
}

TEST(SpecDefaultsTest, DerivesThePeriodAnewWhenNobodyWroteIt) {
  const v1::TrainingSpec base =
      *CompleteSpec(SpecOf("schedule { cosine {} }"), "training");
  v1::TrainingSpec trial = base;
  trial.mutable_schedule()->mutable_warm_up()->set_epochs(4);
  ForgetDerivedPeriod(base, trial);
  FillSpecDefaults(trial);
  EXPECT_EQ(trial.schedule().cosine().period_epochs(), 5);

  v1::TrainingSpec written = base;
  written.mutable_schedule()->mutable_cosine()->set_period_epochs(200);
  v1::TrainingSpec kept = written;
  kept.mutable_schedule()->mutable_warm_up()->set_epochs(4);
  ForgetDerivedPeriod(written, kept);
  EXPECT_EQ(kept.schedule().cosine().period_epochs(), 200);
}

TEST(SpecDefaultsTest, LeavesOutWhatIsNotDone) {
  const v1::TrainingSpec spec = *CompleteSpec(SpecOf(""), "training");

  EXPECT_FALSE(spec.has_early_stop());
  EXPECT_FALSE(spec.augmentation().has_random_resized_crop());
  EXPECT_FALSE(spec.schedule().has_warm_up());
  EXPECT_FALSE(spec.dataset().mnist().has_label_noise());
}

TEST(SpecFactsTest, KnowsTheSizeOfEveryModel) {
  const google::protobuf::Descriptor& kinds = *v1::Model::descriptor();
  for (int i = 0; i < kinds.field_count(); ++i) {
    if (kinds.field(i)->name() == "plugin") continue;
    v1::TrainingSpec spec = SpecOf("");
    spec.mutable_model()->GetReflection()->MutableMessage(spec.mutable_model(),
                                                          kinds.field(i));
    EXPECT_GT(ModelBytes(spec), 0) << kinds.field(i)->name();
  }
  // 11,220,132 parameters, 9,600 statistics, 20 counters.
  EXPECT_EQ(ModelBytes(SpecOf("model { cifar_resnet18 {} } "
                              "dataset { cifar100 {} }")),
            (11'220'132 + 9'600) * 4 + 20 * 8);
  EXPECT_EQ(ModelBytes(SpecOf("")), 266'610 * 4);
  EXPECT_EQ(ModelBytes(SpecOf("model { ghn2 {} }")), 420'956 * 4);
  EXPECT_EQ(ModelBytes(SpecOf("model { sampled_cnn {"
                              "  layers { channels: 16 kernel: 3 }"
                              "  layers { channels: 24 kernel: 5 skip: true }"
                              "  layers { channels: 24 kernel: 1 skip: true }"
                              "} }")),
            11'042 * 4);
}

TEST(SpecDefaultsTest, NamesWhatIsMissing) {
  v1::TrainingSpec spec = SpecOf("");
  spec.clear_model();
  EXPECT_THAT(CompleteSpec(spec, "then[0].training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "then[0].training.model: is required"));
  spec = SpecOf("");
  spec.clear_optimizer();
  EXPECT_THAT(CompleteSpec(spec, ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "optimizer: is required. Choose one of sgd, adam and "
                       "adamw"));
}

}  // namespace
}  // namespace headstart::scheduler
