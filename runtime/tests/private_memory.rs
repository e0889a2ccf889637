//! Core dumps, in a process of its own: the setting is the process'.

#![cfg(test)]

use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit};
use signet_runtime::hardening::keep_memory_private;

#[test]
fn a_process_that_keeps_its_memory_private_leaves_no_core_dump_and_cannot_be_traced() {
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);

    keep_memory_private().unwrap();

    assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
}
