// A trainer without LibTorch, for tests of the agent.
#pragma once

namespace headstart::worker {

// Speaks the trainer protocol on --socket-fd. Its "weights" are a pure function
// of seed, epoch and, in every element, of the epoch before; so a run that
// resumes from stored tensors gives the bytes of one that went through, and one
// that resumes from anything else does not.
//
// The environment's STUB_TRAINER says what goes wrong, as rules such as
// "attempt=1,epoch=2,do=signal:11;attempt=2,epoch=3,do=nan", each for the
// moment before that epoch is measured:
//   signal:N   writes "about to crash" to stderr and raises signal N
//   cut        writes half a line, then kills itself
//   exit:N     ends with this exit code
//   nan        says failed NON_FINITE_LOSS, and ends
//   wait       waits until the FIFO that STUB_GATE names has a byte, or for a
//              message that ends the epoch
//   hang       answers nothing any more
//   deaf       reads nothing any more, says that the epoch is done, and hangs
//   garbage    sends a line that is no message
//   huge       (epoch=0) waits as above, then needs slabs of 4 TiB and says at
//              once, without any, that it has filled the first
//   bad_slab   says that it has filled a slab that there is not
// A rule without an attempt is for all; attempt=0 is for the start: exit:N
// then ends it before it is ready, stillborn:N kills the first N that start,
// and faint ends it right after.
int StubTrainerMain(int argc, char** argv);

// Whether a test program with these arguments was started as a trainer.
bool IsStubTrainer(int argc, char** argv);

// The value of STUB_TRAINER for this process and its children.
void SetStubTrainerRules(const char* rules);

}  // namespace headstart::worker
