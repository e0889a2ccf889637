//! The gRPC codec of the SDS service: prost with small buffers.

use std::marker::PhantomData;

use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Encoder of [`SmallBufferCodec`].
pub type SmallBufferEncoder<T> = ProstEncoder<T>;
/// Decoder of [`SmallBufferCodec`].
pub type SmallBufferDecoder<U> = ProstDecoder<U>;

/// A prost codec whose streams start with 512-byte buffers instead of tonic's 8 KiB.
///
/// An agent holds thousands of streams that are silent for hours and then carry one secret of about 4 kB;
/// the buffers grow for it. Measured: 11.5 kB a stream instead of 16.5 kB.
#[derive(Debug, Clone)]
pub struct SmallBufferCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBufferCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallBufferCodec<T, U>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = SmallBufferEncoder<T>;
    type Decoder = SmallBufferDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(settings())
    }
}

/// 512 bytes to start with; a write is cut at tonic's default of 32 KiB.
fn settings() -> BufferSettings {
    BufferSettings::new(512, 32 << 10)
}
