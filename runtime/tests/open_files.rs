//! The limit of open files, in a process of its own: the limit is the process'.

#![cfg(test)]

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signet_runtime::open_files::raise_limit;

#[test]
fn the_soft_limit_becomes_the_hard_one() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();

    raise_limit(4096).unwrap();

    assert_eq!(getrlimit(Resource::Nofile).current, maximum);
}
