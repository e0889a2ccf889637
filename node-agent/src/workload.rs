//! Who the workloads behind a socket are, and how they prove it.

pub mod audience;
pub mod token;
