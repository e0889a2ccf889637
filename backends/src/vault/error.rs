//! What can go wrong with a Vault, told by what an operator does about it.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

/// Why Vault did not do what it was asked. Holds no secret: neither tokens nor what was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// Nobody listens there, or its name is unknown.
    #[error("cannot reach Vault at {address}; check `vault.address`, and whether it runs")]
    Unreachable {
        /// Which of the addresses.
        address: String,
        /// What the connection died of.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// It shows a certificate that we do not trust.
    #[error(
        "the certificate of Vault at {address} is not trusted ({reason}); `vault.ca_file` must hold the CA that it was \
         issued under, and the certificate the name in `vault.address`"
    )]
    NotTrusted {
        /// Which of the addresses.
        address: String,
        /// What TLS says.
        reason: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection to Vault at {address} broke before its answer was whole")]
    Broken {
        /// Which of the addresses.
        address: String,
        /// What it died of.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// No answer in time.
    #[error("Vault at {address} did not answer within {after:?}")]
    TimedOut {
        /// Which of the addresses.
        address: String,
        /// What it was given.
        after: Duration,
    },
    /// It has to be unsealed.
    #[error("Vault at {address} is sealed; unseal it")]
    Sealed {
        /// Which of the addresses.
        address: String,
    },
    /// Another node of its cluster is active.
    #[error("Vault at {address} is a standby and does not serve; add the active node to `vault.address`")]
    Standby {
        /// Which of the addresses.
        address: String,
    },
    /// It sends us somewhere that is not configured; we do not go there, least of all with a token.
    #[error(
        "Vault at {address} redirects to {to}, which is not in `vault.address`; add it there if it is one of its nodes"
    )]
    Redirected {
        /// Which of the addresses.
        address: String,
        /// Where to.
        to: String,
    },
    /// Too many requests, by its quotas.
    #[error("Vault's rate limit is reached; raise the quota for this client, or lower the load")]
    RateLimited {
        /// What it asks for.
        retry_after: Option<Duration>,
    },
    /// It failed.
    #[error("Vault failed with HTTP status {status}: {reason}")]
    Failing {
        /// Of the answer.
        status: u16,
        /// What it says.
        reason: String,
        /// What it asks for.
        retry_after: Option<Duration>,
    },
    /// The token may not do this, or is dead.
    #[error("Vault denies {path}: {reason}; the token's policy must allow `update` there")]
    Denied {
        /// What was asked for.
        path: String,
        /// What it says.
        reason: String,
    },
    /// Vault could not find out who logs in, or was told that it is nobody: it does not tell the two apart.
    #[error("the token that was shown at {path} was not confirmed (Vault says {reason:?}); {remedy}")]
    Unconfirmed {
        /// What was asked for.
        path: String,
        /// What it says.
        reason: String,
        /// Where to look, by the method.
        remedy: &'static str,
    },
    /// It understood the request and does not like it: a role's limits, most often.
    #[error("Vault refuses {path}: {reason}")]
    Refused {
        /// What was asked for.
        path: String,
        /// What it says.
        reason: String,
    },
    /// Nothing is mounted there.
    #[error("Vault has no {path}; check `vault.mount`, `vault.namespace` and the names after them")]
    NoSuchPath {
        /// What was asked for.
        path: String,
    },
    /// Its answer is none of Vault's.
    #[error(
        "the answer to {path} cannot be understood ({reason}); is it a Vault that answers at `vault.address`?"
    )]
    Nonsense {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More requests wait for Vault than may.
    #[error(
        "{queue} requests wait for Vault, as many as may; it is too slow, or `vault.concurrency` too low"
    )]
    Overloaded {
        /// The bound, as configured.
        queue: usize,
    },
    /// The caller's deadline came first.
    #[error("there was no time left to ask Vault")]
    NoTime,
    /// It was away a moment ago, and is not asked by everybody until it is back.
    #[error("Vault is away")]
    Away(#[source] Arc<VaultError>),
    /// The login failed a moment ago, and is not tried by everybody.
    #[error("the login at Vault failed")]
    Login(#[source] Arc<VaultError>),
    /// A file for the login.
    #[error(transparent)]
    File(#[from] VaultFileError),
}

/// A file that a Vault client needs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultFileError {
    /// It cannot be read.
    #[error("cannot read {}: it must exist and be readable for the user of this process", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// Everybody may write it, or it is too large.
    #[error("{}", .0)]
    Unfit(String),
    /// It holds something else than it should.
    #[error("{} holds no {want}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        want: &'static str,
    },
    /// TLS does not take what it holds.
    #[error("{} cannot be used for TLS ({reason})", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        reason: String,
    },
}

impl VaultError {
    /// Whether the same request may succeed later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Denied { .. } | Self::Refused { .. } | Self::NoSuchPath { .. } | Self::Nonsense { .. } => {
                false
            }
            Self::Away(cause) | Self::Login(cause) => cause.is_temporary(),
            _ => true,
        }
    }

    /// Whether this Vault, or this node of it, can serve nobody now.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotTrusted { .. }
                | Self::TimedOut { .. }
                | Self::Sealed { .. }
                | Self::Standby { .. }
                | Self::Redirected { .. }
        )
    }

    /// Whether another node may do better: this one is away, failed, or hung up before it had answered.
    pub(super) fn is_of_the_node(&self) -> bool {
        let fails = matches!(self, Self::Broken { .. } | Self::Failing { status: 500 | 502..=599, .. });
        fails || self.is_outage()
    }

    /// Whether it tells of a caller who was in a hurry, and nothing of Vault. `deadline` is the caller's.
    pub(super) fn is_of_a_hurry(&self, deadline: Instant) -> bool {
        match self {
            Self::NoTime => true,
            Self::TimedOut { after, .. } => *after < LEAST_PATIENCE && Instant::now() >= deadline,
            _ => false,
        }
    }

    /// Whether there was no whole exchange, for a reason that other TLS files may take away.
    pub(super) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotTrusted { .. } | Self::Broken { .. })
    }

    /// The value of a metric's label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::NotTrusted { .. } => "unreachable",
            Self::Broken { .. } => "broken",
            Self::TimedOut { .. } => "timed_out",
            Self::Sealed { .. } => "sealed",
            Self::Standby { .. } | Self::Redirected { .. } => "standby",
            Self::RateLimited { .. } => "rate_limited",
            Self::Failing { .. } => "failing",
            Self::Denied { .. } => "denied",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Refused { .. } | Self::NoSuchPath { .. } => "refused",
            Self::Nonsense { .. } => "nonsense",
            Self::Overloaded { .. } | Self::NoTime => "overloaded",
            Self::Away(_) => "away",
            Self::Login(_) | Self::File(_) => "login",
        }
    }
}

/// Text of Vault's in a line of ours: no control characters, and not for ever.
pub(super) fn sanitised(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON_CHARACTERS).collect()
}

/// Below, a call that found no time for an answer proves no outage.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

const MAX_REASON_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_as_temporary_as_what_happened() {
        for (happened, temporary) in [
            (VaultError::Sealed { address: String::new() }, true),
            (VaultError::Refused { path: String::new(), reason: String::new() }, false),
        ] {
            for remembered in [VaultError::Login, VaultError::Away] {
                let remembered = remembered(Arc::new(happened.clone()));
                assert_eq!(remembered.is_temporary(), temporary, "{remembered:?}");
            }
        }
    }
}
