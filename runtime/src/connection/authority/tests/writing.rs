//! Requests as clients write them, in each of the forms that HPACK has for the same field (RFC 7541 §6).

use crate::connection::wire::{END_HEADERS, END_STREAM, HEADERS, frame};

/// A string, in one of its two forms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    Raw(&'a str),
    Huffman(&'a str),
}

/// A field's name, in one of its forms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    /// The place in a table.
    Index(u32),
    Literal(Text<'a>),
}

/// What becomes of a field in the table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Literal {
    Indexed,
    NotIndexed,
    NeverIndexed,
}

pub(super) use Literal::{Indexed, NeverIndexed, NotIndexed};
pub(super) use Name::Index;
pub(super) use Text::{Huffman, Raw};

pub(super) fn literal(kind: Literal, name: Name<'_>, value: Text<'_>) -> Vec<u8> {
    let (bits, first) = match kind {
        Indexed => (6, 0x40),
        NotIndexed => (4, 0),
        NeverIndexed => (4, 0x10),
    };
    let name = match name {
        Index(index) => integer(index, bits, first),
        Name::Literal(text) => [integer(0, bits, first), string(text)].concat(),
    };
    [name, string(value)].concat()
}

/// A field by its place in a table.
pub(super) fn indexed(index: u32) -> Vec<u8> {
    integer(index, 7, 0x80)
}

pub(super) fn table_size(size: u32) -> Vec<u8> {
    integer(size, 5, 0x20)
}

/// A request without a body: POST, over http, to `/<stream>`, and these fields.
pub(super) fn request(stream: u32, fields: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(stream, fields))
}

/// Its header block. A new size of the table must be the first of a block, and so stands in `before`.
pub(super) fn block_after(before: &[u8], stream: u32, fields: &[u8]) -> Vec<u8> {
    [before, POST, HTTP, &literal(NotIndexed, Index(PATH), Raw(&format!("/{stream}"))), fields].concat()
}

pub(super) fn block(stream: u32, fields: &[u8]) -> Vec<u8> {
    block_after(&[], stream, fields)
}

/// `:authority`, as the core of gRPC writes it first, and puts it into the table.
pub(super) fn authority(value: Text<'_>) -> Vec<u8> {
    literal(Indexed, Name::Literal(Raw(":authority")), value)
}

pub(super) fn huffman(text: &str) -> Vec<u8> {
    let mut bits: String = text.chars().map(code).collect();
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    bits.as_bytes()
        .chunks(8)
        .map(|octet| octet.iter().fold(0, |octet, bit| octet << 1 | (bit - b'0')))
        .collect()
}

fn string(text: Text<'_>) -> Vec<u8> {
    let (first, octets) = match text {
        Raw(text) => (0, text.as_bytes().to_vec()),
        Huffman(text) => (0x80, huffman(text)),
    };
    [integer(octets.len().try_into().unwrap(), 7, first), octets].concat()
}

fn integer(mut value: u32, bits: u32, first: u8) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut octets = vec![first | most as u8];
    value -= most;
    while value > 0x7f {
        octets.push(0x80 | value as u8);
        value >>= 7;
    }
    octets.push(value as u8);
    octets
}

/// RFC 7541 appendix B, up to eight bits: those of one length follow one another.
fn code(character: char) -> String {
    let codes = [
        (5, 0, "012aceiost"),
        (6, 0x14, " %-./3456789=A_bdfghlmnpru"),
        (7, 0x5c, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
        (8, 0xf8, "&*,;XZ"),
    ];
    let code = |(length, first, characters): (usize, usize, &str)| {
        characters.find(character).map(|place| format!("{:0length$b}", first + place))
    };
    codes.into_iter().find_map(code).unwrap()
}

/// Places in the static table (RFC 7541 appendix A).
pub(super) const AUTHORITY: u32 = 1;
pub(super) const PATH: u32 = 4;
pub(super) const USER_AGENT: u32 = 58;
/// The first place in the dynamic table, which holds what was put there last.
pub(super) const NEWEST: u32 = 62;
const POST: &[u8] = &[0x83];
const HTTP: &[u8] = &[0x86];
