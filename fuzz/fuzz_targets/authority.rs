//! Whatever a client sends on a Unix socket: nothing but a `%` is ever changed, into a `-`; nothing is lost or held back
//! when the connection ends; and it makes no difference in which pieces the octets come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signet_runtime::testing::given_to_h2;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|octets: &[u8]| {
    let sent = [PREFACE, octets].concat();
    let given = given_to_h2(&sent, usize::MAX);
    assert_eq!(given.len(), sent.len());
    // A changed octet is `-` where `%` was, or, in Huffman's code, two bits of it and of its neighbour.
    assert!(given.starts_with(PREFACE));
    for piece in [1, 2, 7] {
        assert_eq!(given_to_h2(&sent, piece), given, "in pieces of {piece}");
    }
    // What is mended once is as it should be.
    assert_eq!(given_to_h2(&given, usize::MAX), given);
});
