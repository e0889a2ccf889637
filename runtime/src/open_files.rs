//! How many files the process may have open. Each connection is one.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's soft limit of open files to its hard one: the soft limit is 1,024 on most systems,
/// for the sake of programs that use select(2) (getrlimit(2), `RLIMIT_NOFILE`). Warns when even that leaves
/// no room for `connections`. Call it once the log is there.
///
/// # Errors
/// What the operating system said.
pub fn raise_limit(connections: usize) -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    if !suffices(maximum, connections) {
        tracing::warn!(
            open_files = maximum,
            max_connections = connections,
            "too few open files for `limits.max_connections`: raise the hard limit (`LimitNOFILE` of systemd, \
             `ulimit -Hn`), or lower the number of connections"
        );
    }
    Ok(())
}

/// `None`: as many as the system has.
fn suffices(limit: Option<u64>, connections: usize) -> bool {
    limit.is_none_or(|limit| limit >= (connections as u64).saturating_add(OTHERS))
}

/// Logs, state, listeners, event queues and connections of our own: a dozen or two.
const OTHERS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_must_be_room_for_all_connections_and_our_own_files() {
        for (limit, enough) in [(Some(4096), false), (Some(4159), false), (Some(4160), true), (None, true)] {
            assert_eq!(suffices(limit, 4096), enough, "{limit:?}");
        }
    }
}
