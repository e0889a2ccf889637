//! Secret discovery: how proxies get their certificates and roots.

mod fault;
mod interest;
mod peers;
mod protocol;
mod refusal;
mod resource_name;
mod secret;
mod service;
mod stream;
mod subscription;

pub use peers::{Connection, Peers, StreamLimits};
pub(crate) use secret::PublishedSecret;
pub use service::SdsService;
