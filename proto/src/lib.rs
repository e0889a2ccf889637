//! Wire types: the Istio CA API, the parts of Envoy's SDS API that Signet speaks, and Signet's own services.
//!
//! The `.proto` files of others under `proto/` are minimal ones, written for Signet; packages, names and
//! field numbers are those of Istio and Envoy, so that their clients and servers work unchanged. The code
//! under `src/generated` is checked in: building needs neither protoc nor a build script. After a change of a
//! `.proto`, `UPDATE_GENERATED=1 cargo test -p signet-proto` writes it anew; without the variable the same
//! test fails when the two differ.

mod codec;
#[allow(
    missing_docs,
    unreachable_pub,
    unnameable_types,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated from the .proto files, which carry the documentation"
)]
mod generated;
pub mod metadata;

pub use codec::{SmallBufferCodec, SmallBufferDecoder, SmallBufferEncoder};
pub use generated::{envoy, google, istio, signet};

/// The `FileDescriptorSet` of everything in this crate, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

/// Type URL of an SDS resource (Envoy, "xDS REST and gRPC protocol": resource types).
pub const SECRET_TYPE_URL: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
