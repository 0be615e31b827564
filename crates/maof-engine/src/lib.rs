//! Runs work, durably: workflow, pure step, driver, queue.
