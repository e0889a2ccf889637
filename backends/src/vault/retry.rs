//! Whether a request is worth another attempt, and when. Pure.

use std::time::Duration;

use super::VaultError;

/// How long to wait before attempt number `attempt` + 1 (the first is 1) after `error`; `None`: it is final.
/// `jitter` is in [0, 1): those who fail together must not come back together. How long a rate limit lasts,
/// `limit` says.
///
/// What Vault understood and refuses is final, and so is what an open breaker or a full queue says. A rate
/// limit and a fault of its own pass, and so does a connection that broke: signing twice makes a certificate
/// that nobody uses.
pub(super) fn pause(error: &VaultError, attempt: u32, jitter: f64) -> Option<Duration> {
    let asked = match error {
        VaultError::RateLimited { .. } => return Some(Duration::ZERO),
        VaultError::Failing { status: 412 | 500 | 502..=599, retry_after, .. } => *retry_after,
        VaultError::Unreachable { .. } | VaultError::Broken { .. } => None,
        _ => return None,
    };
    let longest = (FIRST * 2_u32.saturating_pow(attempt.saturating_sub(1).min(MOST_DOUBLINGS))).min(LONGEST);
    // What Vault asks for is the least; whoever came at the same time is spread over as much again, within
    // reason.
    Some(asked.unwrap_or_default() + longest.mul_f64(jitter))
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
const MOST_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(status: u16) -> VaultError {
        VaultError::Failing { status, reason: String::new(), retry_after: None }
    }

    #[test]
    fn what_passes_is_tried_again_later_and_later_and_spread() {
        for (attempt, longest) in [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (60, 2000)] {
            assert_eq!(pause(&failing(500), attempt, 1.0), Some(Duration::from_millis(longest)), "{attempt}");
            assert_eq!(pause(&failing(500), attempt, 0.0), Some(Duration::ZERO), "{attempt}");
        }
    }

    #[test]
    fn what_a_failing_vault_asks_for_is_waited_out_at_least() {
        let retry_after = Some(Duration::from_secs(3));
        let failing = VaultError::Failing { status: 503, reason: String::new(), retry_after };
        assert_eq!(pause(&failing, 1, 0.0), Some(Duration::from_secs(3)));
        assert_eq!(pause(&failing, 1, 1.0), Some(Duration::from_millis(3100)));
    }

    #[test]
    fn what_will_not_change_is_final() {
        let (path, reason, address) = (String::new(), String::new(), String::new());
        for error in [
            VaultError::Refused { path: path.clone(), reason: reason.clone() },
            VaultError::Denied { path: path.clone(), reason },
            VaultError::NoSuchPath { path },
            VaultError::Sealed { address },
            VaultError::Overloaded { queue: 1 },
            VaultError::NoTime,
            failing(501),
            failing(413),
        ] {
            assert_eq!(pause(&error, 1, 0.5), None, "{error}");
        }
    }
}
