//! What keeps the memory of a process, and so its keys, from others.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes this process leave no core dump, and lets no process of the same user trace it or read its memory
/// (prctl(2), `PR_SET_DUMPABLE`). Call it before the first key is read.
///
/// The limit alone would not do: a core dump that is piped to a collector has none (core(5)).
///
/// # Errors
/// What the operating system said.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
