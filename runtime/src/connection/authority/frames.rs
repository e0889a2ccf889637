//! Frames of a client (RFC 9113 §4 and §6): where blocks of header fields lie in the octets of a connection.

use super::fields::Fields;

/// A connection's octets, from the first one on.
#[derive(Debug)]
pub(super) struct Frames {
    place: Place,
    fields: Fields,
    /// A header block has begun, and goes on in the next frame.
    open: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the nine octets before a payload, of which so many have come.
    Head {
        come: u8,
        head: Head,
    },
    /// Between the head of HEADERS and its fragment of a header block, with so many octets to come.
    Prologue {
        left: usize,
        head: Head,
        padding: usize,
    },
    Fragment(Fragment),
    /// In octets that are none of ours.
    Skipped {
        left: usize,
    },
    /// Nothing is looked at any more: the connection does not need it, or h2 is about to end it.
    Over,
}

/// Of a header block.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    left: usize,
    /// So many octets follow it in its frame.
    padding: usize,
    /// The block ends with it.
    last: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
}

impl Default for Frames {
    fn default() -> Self {
        Self { place: skip(PREFACE_OCTETS), fields: Fields::default(), open: false }
    }
}

impl Frames {
    /// Mends what comes next on the connection, and says how many of the octets are settled: all, or all but the
    /// last, which must be shown again with what follows it.
    pub(super) fn mend(&mut self, mut octets: &mut [u8]) -> usize {
        let mut settled = 0;
        while !octets.is_empty() {
            let step = self.step(octets);
            if step == 0 {
                break;
            }
            settled += step;
            octets = octets.get_mut(step..).unwrap_or_default();
        }
        settled
    }

    /// Whether nothing will be changed any more.
    pub(super) fn are_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// Goes on within one place, and says how far.
    fn step(&mut self, octets: &mut [u8]) -> usize {
        let first = octets.first().copied().unwrap_or_default();
        match self.place {
            Place::Head { come, head } => {
                self.place = self.after_head(come + 1, head.with(come, first));
                1
            }
            Place::Prologue { left, head, padding } => {
                let padding = if left == head.prologue() && head.is(PADDED) { first.into() } else { padding };
                self.place = self.in_prologue(left - 1, head, padding);
                1
            }
            Place::Fragment(fragment) => {
                let settled = self.fields.mend(octets, fragment.left);
                self.place = self.in_fragment(Fragment { left: fragment.left - settled, ..fragment });
                settled
            }
            Place::Skipped { left } => {
                let skipped = left.min(octets.len());
                self.place = skip(left - skipped);
                skipped
            }
            Place::Over => octets.len(),
        }
    }

    fn after_head(&mut self, come: u8, head: Head) -> Place {
        match (head.kind, self.open) {
            _ if come < HEAD_OCTETS => Place::Head { come, head },
            (HEADERS, false) => self.in_prologue(head.prologue(), head, 0),
            (CONTINUATION, true) => self.in_fragment(head.fragment(head.length, 0)),
            // Nothing may come between the frames of a block, and none of them alone (§6.10).
            (_, true) | (CONTINUATION, false) => Place::Over,
            (_, false) => skip(head.length),
        }
    }

    fn in_prologue(&mut self, left: usize, head: Head, padding: usize) -> Place {
        if left > 0 {
            return Place::Prologue { left, head, padding };
        }
        match head.length.checked_sub(head.prologue() + padding) {
            Some(left) => self.in_fragment(head.fragment(left, padding)),
            None => Place::Over,
        }
    }

    fn in_fragment(&mut self, fragment: Fragment) -> Place {
        if fragment.left > 0 {
            return Place::Fragment(fragment);
        }
        self.open = !fragment.last;
        // The first block decides; and behind one that is malformed, no field can be found.
        if fragment.last && !(self.fields.were_mended() && self.fields.are_whole()) {
            return Place::Over;
        }
        skip(fragment.padding)
    }
}

impl Head {
    /// The same with its next octet (§4.1); those of the stream do not matter here.
    fn with(self, place: u8, octet: u8) -> Self {
        match place {
            0..=2 => Self { length: self.length << 8 | usize::from(octet), ..self },
            3 => Self { kind: octet, ..self },
            4 => Self { flags: octet, ..self },
            _ => self,
        }
    }

    fn fragment(self, left: usize, padding: usize) -> Fragment {
        Fragment { left, padding, last: self.is(END_HEADERS) }
    }

    fn is(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What HEADERS have before their fragment: the length of the padding, and a priority (§6.2).
    fn prologue(self) -> usize {
        usize::from(self.is(PADDED)) + if self.is(PRIORITY) { PRIORITY_OCTETS } else { 0 }
    }
}

fn skip(left: usize) -> Place {
    if left > 0 { Place::Skipped { left } } else { Place::Head { come: 0, head: Head::default() } }
}

const HEAD_OCTETS: u8 = 9;
const PREFACE_OCTETS: usize = super::super::preface::PREFACE.len();
const PRIORITY_OCTETS: usize = 5;

// Kinds of frames, and flags of HEADERS and CONTINUATION.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
