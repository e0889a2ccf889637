//! The certificate authority: authenticates workloads and issues X.509-SVIDs.

mod admission;

pub use admission::{Admission, AdmissionLimits, Admitted, Overloaded};
