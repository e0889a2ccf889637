//! Whose leaves proxies are to trust, and how that changes while everything runs.
//!
//! A *source* offers an authority to sign from now on. The driver proves it, lets the pure state decide what that
//! means, makes the outcome durable in the state directory, and only then publishes it to the
//! [`Authority`](crate::authority::Authority).

mod driver;
mod known;
mod metrics;
mod offer;
mod signers;
pub(crate) mod sources;
mod state;
mod words;

pub use driver::{Driver, OfferRefused, Said, Settings};
pub(crate) use known::KnownAuthority;
pub use known::Origin;
pub use offer::{Offer, OfferedSigner, SourceFault};
pub use signers::NotAble;
pub(crate) use state::{Leaves, Published, Stage, Terms, Trust};
