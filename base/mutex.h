// Mutex, MutexLock and CondVar: Abseil's, made visible to the thread sanitizer.
//
// The distribution's Abseil is built without the sanitizer, which then sees no
// order between a lock and the next and reports races that are none. Outside
// sanitizer builds these classes are Abseil's and cost nothing more.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#if defined(__SANITIZE_THREAD__)
#define HS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HS_TSAN 1
#endif
#endif

#ifdef HS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace headstart {

// A lock. Fields it guards say ABSL_GUARDED_BY(mu_); private helpers that need
// it held say ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_).
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    mutex_.Lock();
    Acquired();
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() {
#ifdef HS_TSAN
    if (waiter_count_ > 0) changed_.SignalAll();
#endif
    Releasing();
    mutex_.Unlock();
  }

  // Stops the process unless the lock is held; tells the analysis that it is.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mutex_.AssertHeld(); }

  // Waits until `condition` is true, with the lock released meanwhile and held
  // when `condition` runs and at return. `condition` reads only what this lock
  // guards: other threads evaluate it, whenever they release the lock.
  void Await(absl::FunctionRef<bool()> condition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    AwaitWithTimeout(condition, absl::InfiniteDuration());
  }

  // The same for at most `timeout` of real time. True when the condition is.
  bool AwaitWithTimeout(absl::FunctionRef<bool()> condition,
                        absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
#ifdef HS_TSAN
    // Here the waiting thread evaluates: the sanitizer would take a reading in
    // another thread's Unlock for a race.
    const absl::Time deadline = absl::Now() + timeout;
    const bool waits = !condition();
    // What this thread changed may be what others wait for: waiting releases
    // the lock, but is no Unlock.
    if (waits && waiter_count_ > 0) changed_.SignalAll();
    while (!condition()) {
      ++waiter_count_;
      const bool expired = WaitForChange(deadline);
      --waiter_count_;
      if (expired) return condition();
    }
    return true;
#else
    return mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](absl::FunctionRef<bool()>* wanted) { return (*wanted)(); },
            &condition),
        timeout);
#endif
  }

 private:
  friend class CondVar;

#ifdef HS_TSAN
  void Acquired() { __tsan_acquire(this); }
  void Releasing() { __tsan_release(this); }

  bool WaitForChange(absl::Time deadline) {
    Releasing();
    const bool expired = changed_.WaitWithDeadline(&mutex_, deadline);
    Acquired();
    return expired;
  }

  absl::CondVar changed_;
  int waiter_count_ = 0;
#else
  void Acquired() {}
  void Releasing() {}
#endif

  absl::Mutex mutex_;
};

// Holds the lock from here to the end of the scope.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }

  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// For where Mutex::Await would evaluate its condition too often.
class CondVar {
 public:
  // Releases the lock, waits to be signalled (or for no reason at all: test
  // the condition in a loop), takes the lock again.
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    mutex->Releasing();
    condition_.Wait(&mutex->mutex_);
    mutex->Acquired();
  }

  // The same for at most `timeout` of real time. True when it ran out.
  bool WaitWithTimeout(Mutex* mutex, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    mutex->Releasing();
    const bool expired = condition_.WaitWithTimeout(&mutex->mutex_, timeout);
    mutex->Acquired();
    return expired;
  }

  void Signal() { condition_.Signal(); }
  void SignalAll() { condition_.SignalAll(); }

 private:
  absl::CondVar condition_;
};

}  // namespace headstart
