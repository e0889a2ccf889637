//! The real programs, real Envoys and real sockets: what the architecture promises, shown where it counts.
//!
//! One module an area. Each test has the machine for itself and a deadline; see the harness.

#![cfg(test)]

mod bench_sds;
mod ca_crash;
mod clients;
mod demo;
mod documentation;
mod handshake;
mod injected;
mod old_token;
mod outage;
mod proxy_secrets;
mod request;
mod roots;
mod rotation;
mod rotation_test;
mod sds;
mod served;
mod token_file;
mod vault;
