//! What a test tells the CA to do, and what it then knows of the calls.

use std::time::{Duration, SystemTime};

use crate::{CaError, TokenHash};

/// What the CA does with a call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Proves the token, decides, signs.
    Honest,
    /// The same, but only after a while.
    Late(Duration),
    /// Silent until the deadline of a call.
    Hang,
    /// Fails in the given way.
    Fail(CaError),
    /// Panics, as a client with a bug would.
    Panic,
    /// Hands out what no honest CA would.
    Forge(Forgery),
}

/// What the CA does when it is asked for its roots alone.
#[derive(Debug, Clone)]
pub enum BundleAnswer {
    /// Tells them.
    Told,
    /// Does not offer it, as other CAs than Signet's.
    NotOffered,
    /// Silent until the deadline of a call.
    Hang,
    /// Fails in the given way.
    Fail(CaError),
    /// Panics, as a client with a bug would.
    Panic,
}

/// Certificates that an agent must never serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// For a key of the CA's own making.
    WrongKey,
    /// For another workload, over the key that was asked for.
    WrongIdentity,
    /// It ended before the call.
    Expired,
    /// Signed by an authority that is not in the bundle.
    UnknownRoot,
    /// Signed by an intermediate that was not sent, under a root that was.
    NoIntermediate,
}

impl Forgery {
    /// Every one there is.
    pub const ALL: [Self; 5] =
        [Self::WrongKey, Self::WrongIdentity, Self::Expired, Self::UnknownRoot, Self::NoIntermediate];
}

/// A call as it arrived, also when it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// By the CA's clock.
    pub at: SystemTime,
    /// Whose token it was.
    pub token: TokenHash,
    /// The first URI name in the CSR; empty when there is none.
    pub identity: String,
    /// The lifetime asked for.
    pub lifetime: Option<Duration>,
}
