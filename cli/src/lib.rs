//! The operator's and tester's command line.

pub mod stage;
