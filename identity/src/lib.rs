//! The words of the field and the one decision: may this caller have this certificate?
//!
//! No I/O and nothing asynchronous.

mod clock;
mod spiffe_id;
mod validity;

pub use clock::Clock;
#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use spiffe_id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use validity::{Validity, ValidityError};
