//! Free TCP ports for programs that cannot report the port they were given.
//!
//! A port that is asked of the kernel (port 0) and released again may be gone before the program binds it: such
//! ports lie in the range from which outgoing connections get theirs, and steady load with one connection a
//! request goes through that range quickly. So ports are drawn from below that range, where only a program that
//! names a port can collide.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Below it live well-known services.
const FLOOR: u16 = 10_000;

/// Linux' own default, where the range in force cannot be read.
const DEFAULT_EPHEMERAL_FLOOR: u16 = 32_768;

/// Draws enough to find a free port on any machine that has one.
const DRAWS: usize = 1_000;

/// Hands out ports, each once.
#[derive(Debug)]
pub(super) struct Ports {
    range: Range<u16>,
    taken: Mutex<HashSet<u16>>,
}

impl Ports {
    pub(super) fn new() -> Self {
        let range_in_force = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        Self { range: below_ephemeral(&range_in_force), taken: Mutex::default() }
    }

    /// A port of the loopback address that nobody listens on.
    pub(super) fn free(&self) -> Result<u16> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = (0..DRAWS).map(|_| fastrand::u16(self.range.clone()));
        let free =
            |port: &u16| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let port = drawn.into_iter().find(free).context("found no free TCP port on 127.0.0.1")?;
        taken.insert(port);
        Ok(port)
    }
}

/// `range_in_force` is two numbers, the first and the last port of outgoing connections. Where it leaves no room
/// below, the upper end of the default range serves as well as anything.
fn below_ephemeral(range_in_force: &str) -> Range<u16> {
    let first = range_in_force.split_whitespace().next().and_then(|first| first.parse().ok());
    let first = first.unwrap_or(DEFAULT_EPHEMERAL_FLOOR);
    if first > FLOOR + 1_000 { FLOOR..first } else { DEFAULT_EPHEMERAL_FLOOR..u16::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lie_below_those_of_outgoing_connections() {
        for (name, range_in_force, expected) in [
            ("the default of Linux", "32768\t60999\n", 10_000..32_768),
            ("not readable", "", 10_000..32_768),
            ("nothing left below", "1024\t65535\n", 32_768..u16::MAX),
        ] {
            assert_eq!(below_ephemeral(range_in_force), expected, "{name}");
        }
    }

    #[test]
    fn a_port_is_handed_out_once_and_can_be_bound() {
        let ports = Ports::new();
        let (first, second) = (ports.free().unwrap(), ports.free().unwrap());
        assert_ne!(first, second);
        TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_handed_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = Ports { range: port..port + 1, taken: Mutex::default() };
        assert!(ports.free().is_err());
    }
}
