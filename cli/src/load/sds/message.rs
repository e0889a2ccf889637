//! gRPC's messages on an HTTP/2 stream: five bytes and then as many as they say.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use tonic::Status;

/// The message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    // A message of ours is a few hundred bytes.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}

/// What of a stream has arrived and is not read.
#[derive(Debug, Default)]
pub(super) struct Inbox(BytesMut);

impl Inbox {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message that is there as a whole.
    ///
    /// # Errors
    /// What arrives is longer than gRPC's default for a message, compressed, or no `M`.
    pub(super) fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        let Some((compressed, length)) = self.prefix() else { return Ok(None) };
        if compressed {
            return Err(Status::internal("the agent compresses, though nobody asked for it"));
        }
        if length > MOST_MESSAGE_BYTES {
            return Err(Status::out_of_range(format!("the agent announces a message of {length} bytes")));
        }
        if self.0.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        let mut whole = self.0.split_to(PREFIX_BYTES + length);
        if self.0.is_empty() {
            // An idle stream keeps no buffer.
            self.0 = BytesMut::new();
        }
        whole.advance(PREFIX_BYTES);
        let message = M::decode(whole);
        message
            .map(Some)
            .map_err(|error| Status::internal(format!("the agent sent no SDS response: {error}")))
    }

    fn prefix(&self) -> Option<(bool, usize)> {
        let (compressed, length) = self.0.get(..PREFIX_BYTES)?.split_first()?;
        Some((*compressed != 0, u32::from_be_bytes(length.try_into().ok()?) as usize))
    }
}

const PREFIX_BYTES: usize = 5;
const MOST_MESSAGE_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use signet_proto::envoy::service::discovery::v3::DiscoveryResponse;
    use tonic::Code;

    use super::*;

    fn response(nonce: &str) -> DiscoveryResponse {
        DiscoveryResponse { nonce: nonce.to_owned(), ..Default::default() }
    }

    #[test]
    fn messages_are_read_whole_however_they_are_cut() {
        let sent = [framed(&response("one")), framed(&response(&"two".repeat(100)))].concat();
        for cut in 1..sent.len() {
            let (mut inbox, mut nonces) = (Inbox::default(), Vec::new());
            for part in sent.chunks(cut) {
                inbox.put(part);
                while let Some(DiscoveryResponse { nonce, .. }) = inbox.next().unwrap() {
                    nonces.push(nonce);
                }
            }
            assert_eq!(nonces, ["one", &"two".repeat(100)], "cut every {cut} bytes");
            assert_eq!(inbox.0.capacity(), 0, "an idle stream keeps a buffer");
        }
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_waited_for() {
        for (name, bytes, code) in [
            ("compressed", &[1, 0, 0, 0, 9][..], Code::Internal),
            ("far too long", &[0, 0, 64, 0, 1], Code::OutOfRange),
            ("no protobuf", &[0, 0, 0, 0, 1, 0xff], Code::Internal),
        ] {
            let mut inbox = Inbox::default();
            inbox.put(bytes);
            assert_eq!(inbox.next::<DiscoveryResponse>().unwrap_err().code(), code, "{name}");
        }
    }
}
