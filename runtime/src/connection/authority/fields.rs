//! Header fields as HPACK writes them (RFC 7541 §6): where each begins, and which of them is an `:authority` in full.
//!
//! A name is known by its index in the static table or by its letters. One that was put into the dynamic table
//! is not known here: nobody keeps that table but h2.

use super::huffman::{Codes, Next};

/// The header fields of a connection, block after block, octet by octet.
#[derive(Debug, Default)]
pub(super) struct Fields {
    state: State,
    mended: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Before a field, or a new size of the table.
    #[default]
    Field,
    /// Before the length of a name.
    Name,
    /// Before the length of a value.
    Value { of: Name },
    /// In an integer that goes on (§5.1): what it is so far, and by how many bits the next octet counts more.
    Integer { stands_for: Meaning, value: u32, shift: u32 },
    /// In a name, of which so many octets are left; what they are in an `:authority`, as long as it may be one.
    InName { left: u32, expected: Option<&'static [u8]> },
    /// In a value, of which so many octets are left.
    InValue { left: u32, text: Text },
    /// What h2 ends the connection for.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Authority,
    Other,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// A field by its index, or a size: all there is of it.
    Whole,
    NameIndex,
    NameLength(Coding),
    ValueLength(Coding, Name),
}

#[derive(Clone, Copy, Debug)]
enum Coding {
    Raw,
    Huffman,
}

#[derive(Clone, Copy, Debug)]
enum Text {
    /// Of another field.
    Other,
    Raw,
    Huffman(Codes),
}

impl Fields {
    /// Mends what has come of a fragment of a header block, of which `left` octets are left in its frame, and says how
    /// many are settled: all that have come, or all but the last, which must be shown again with what follows it.
    pub(super) fn mend(&mut self, octets: &mut [u8], left: usize) -> usize {
        let (mut settled, come) = (0, left.min(octets.len()));
        let mut fragment = octets.get_mut(..come).unwrap_or_default();
        while let Some((octet, rest)) = fragment.split_first_mut() {
            let next = match rest.first_mut() {
                Some(next) => Next::Octet(next),
                None if come < left => Next::Unread,
                None => Next::Nothing,
            };
            let Some(state) = self.after(octet, next) else { break };
            self.state = state;
            settled += 1;
            fragment = rest;
        }
        settled
    }

    /// Whether they end where a field does, as the fields of every block must.
    pub(super) fn are_whole(&self) -> bool {
        matches!(self.state, State::Field)
    }

    /// Whether there was anything to mend.
    pub(super) fn were_mended(&self) -> bool {
        self.mended
    }

    fn after(&mut self, octet: &mut u8, next: Next<'_>) -> Option<State> {
        Some(match self.state {
            State::Field => field(*octet),
            State::Name => integer(*octet, 7, Meaning::NameLength(coding(*octet))),
            State::Value { of } => integer(*octet, 7, Meaning::ValueLength(coding(*octet), of)),
            State::Integer { stands_for, value, shift } => more_of_integer(*octet, stands_for, value, shift),
            State::InName { left, expected } => {
                let expected = expected.and_then(|octets| octets.strip_prefix(&[*octet]));
                in_name(left - 1, expected)
            }
            State::InValue { left, mut text } => {
                let next = if left == 1 { Next::Nothing } else { next };
                self.mended |= text.mend(octet, next)?;
                in_value(left - 1, text)
            }
            State::Malformed => State::Malformed,
        })
    }
}

impl Text {
    fn mend(&mut self, octet: &mut u8, next: Next<'_>) -> Option<bool> {
        match self {
            Self::Raw if *octet == b'%' => {
                *octet = b'-';
                Some(true)
            }
            Self::Raw | Self::Other => Some(false),
            Self::Huffman(codes) => codes.mend(octet, next),
        }
    }
}

impl Meaning {
    fn of(self, value: u32) -> State {
        match (self, value) {
            (Self::Whole, _) => State::Field,
            (Self::NameIndex, 0) => State::Name,
            (Self::NameIndex, STATIC_AUTHORITY) => State::Value { of: Name::Authority },
            (Self::NameIndex, _) => State::Value { of: Name::Other },
            (Self::NameLength(Coding::Raw), length) => in_name(length, Some(AUTHORITY)),
            (Self::NameLength(Coding::Huffman), length) => in_name(length, Some(AUTHORITY_IN_HUFFMAN)),
            (Self::ValueLength(_, Name::Other), length) => in_value(length, Text::Other),
            (Self::ValueLength(Coding::Raw, Name::Authority), length) => in_value(length, Text::Raw),
            (Self::ValueLength(Coding::Huffman, Name::Authority), length) => {
                in_value(length, Text::Huffman(Codes::default()))
            }
        }
    }
}

/// By the first bits of a field (§6).
fn field(octet: u8) -> State {
    match octet.leading_zeros() {
        0 => integer(octet, 7, Meaning::Whole),     // indexed
        1 => integer(octet, 6, Meaning::NameIndex), // literal, indexed from now on
        2 => integer(octet, 5, Meaning::Whole),     // the size of the table
        _ => integer(octet, 4, Meaning::NameIndex), // literal, not indexed or never
    }
}

/// By the first bit of a string (§5.2).
fn coding(octet: u8) -> Coding {
    if octet & 0x80 == 0 { Coding::Raw } else { Coding::Huffman }
}

/// One that begins in the last `bits` of this octet (§5.1).
fn integer(octet: u8, bits: u32, stands_for: Meaning) -> State {
    let most = (1 << bits) - 1;
    match u32::from(octet) & most {
        value if value == most => State::Integer { stands_for, value, shift: 0 },
        value => stands_for.of(value),
    }
}

fn more_of_integer(octet: u8, stands_for: Meaning, value: u32, shift: u32) -> State {
    let value = value + (u32::from(octet & 0x7f) << shift);
    match (octet & 0x80, shift) {
        (0, _) => stands_for.of(value),
        (_, LAST_SHIFT) => State::Malformed,
        _ => State::Integer { stands_for, value, shift: shift + 7 },
    }
}

fn in_name(left: u32, expected: Option<&'static [u8]>) -> State {
    match (left, expected) {
        (0, Some([])) => State::Value { of: Name::Authority },
        (0, _) => State::Value { of: Name::Other },
        _ => State::InName { left, expected },
    }
}

fn in_value(left: u32, text: Text) -> State {
    if left == 0 { State::Field } else { State::InValue { left, text } }
}

/// RFC 7541 appendix A.
const STATIC_AUTHORITY: u32 = 1;
const AUTHORITY: &[u8] = b":authority";
/// The same, of which there is one writing only: what pads the last octet is given (§5.2).
const AUTHORITY_IN_HUFFMAN: &[u8] = b"\xb8\x3b\x53\x39\xec\x32\x7d\x7f";
/// h2 takes five octets of an integer, as many as any length or index needs.
const LAST_SHIFT: u32 = 21;
