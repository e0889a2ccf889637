//! The renewer before a CA in memory: which calls are made, in which order, and what is served meanwhile.

mod issuing;
mod order;
mod outage;
mod polling;
mod recalling;
mod refusing;
mod releasing;
mod roots;
mod stepping;

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
