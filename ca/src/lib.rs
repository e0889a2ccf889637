//! The certificate authority: authenticates workloads and issues X.509-SVIDs.

pub mod admission;
pub mod log;
mod request_id;

pub use request_id::RequestId;
