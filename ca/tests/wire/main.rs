//! What a client of the CA sees on a real TLS socket, good input and bad, and what its operator sees of it.
#![cfg(test)]

mod audit;
mod connections;
mod csr;
mod csrs;
mod house;
mod issuing;
mod operations;
mod overload;
mod token;
mod tokens;
mod trust_bundle;
