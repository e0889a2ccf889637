//! Secret discovery: how proxies get their certificates and roots.

mod fault;
mod protocol;
mod resource_name;
mod secret;
mod subscription;

pub(crate) use secret::PublishedSecret;
