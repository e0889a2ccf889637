//! Names of the gRPC metadata that Signet's CA adds to its answers. Other CAs send none of them.

/// Creation time of the CA's state, in seconds since 1970; ASCII decimal. Orders before [`BUNDLE_SEQUENCE`].
pub const BUNDLE_EPOCH: &str = "signet-bundle-epoch";

/// Counts the changes of the trust bundle within one epoch; ASCII decimal. A receiver ignores a bundle older
/// than the one it holds.
pub const BUNDLE_SEQUENCE: &str = "signet-bundle-sequence";

/// Names the request in the CA's log and audit, on answers and refusals alike.
pub const REQUEST_ID: &str = "signet-request-id";
