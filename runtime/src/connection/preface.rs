//! The 24 bytes that begin HTTP/2: hyper waits for them without a deadline, so they are read before it
//! starts.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads the client's preface and nothing after it.
///
/// # Errors
/// The connection ended before, or began with anything else.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut read = [0; PREFACE.len()];
    io.read_exact(&mut read).await?;
    if read == *PREFACE { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// RFC 9113 §3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
