# SPDX-License-Identifier: MIT
# Sidekiq's tasks, by the names that those of the others have.
require "sidekiq"

class BenchNoop
  include Sidekiq::Worker
  def perform; end
end

class BenchSpin
  include Sidekiq::Worker

  # So many microseconds of this thread's processor time.
  def perform(us)
    last = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :microsecond) + us
    nil while Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :microsecond) < last
  end
end

class BenchSleep
  include Sidekiq::Worker

  # So many milliseconds.
  def perform(ms)
    sleep(ms / 1000.0)
  end
end
