//! Any request in any form, in any frames, read in any pieces.

use proptest::{prelude::*, sample::Index as Place};

use super::*;

proptest! {
    #[test]
    fn h2_hears_every_request_as_it_was_sent_but_for_percents_in_its_authority(
        requests in prop::collection::vec(any_request(), 1..6),
        pieces in prop::collection::vec(1..400_usize, 1..8),
    ) {
        let frames: Vec<u8> = (1..).step_by(2).zip(&requests).flat_map(|(stream, one)| one.frames(stream)).collect();

        let heard = accepted(&frames);

        prop_assert!(heard.1.is_none(), "{:?}", heard.1);
        // The first authority has a percent, else a later one would be left alone.
        for (request, sent) in heard.0.iter().zip(&requests) {
            prop_assert_eq!(request.uri().authority().unwrap().as_str(), sent.authority.replace('%', "-"));
            prop_assert_eq!(&request.headers()["x-other"], &sent.other);
        }
        prop_assert_eq!(heard.0.len(), requests.len());
        let octets = connection(&frames);
        prop_assert_eq!(read(split(&octets, &pieces), 300), read([&octets[..]], 4096));
    }

    #[test]
    fn nothing_but_percents_is_ever_changed(
        octets in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(TELLING)], 0..300),
        pieces in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let sent = connection(&octets);

        let given = read([&sent[..]], 4096);

        prop_assert_eq!(given.len(), sent.len());
        prop_assert_eq!(&read(split(&sent, &pieces), 3), &given);
    }
}

/// A request of which every choice is made that a client has.
#[derive(Clone, Debug)]
struct Sent {
    authority: String,
    other: String,
    kind: writing::Literal,
    /// How the name is written: by its index, raw, in Huffman's code.
    name: u8,
    in_huffman: bool,
    resized: bool,
    padding: Option<u8>,
    priority: bool,
    /// Where the block is cut, if it is.
    cut: Option<Place>,
}

fn any_request() -> impl Strategy<Value = Sent> {
    let kind = prop_oneof![Just(Indexed), Just(NotIndexed), Just(NeverIndexed)];
    let how = (kind, 0..3_u8, any::<bool>(), any::<bool>());
    let frames = (prop::option::of(any::<u8>()), any::<bool>(), prop::option::of(any::<Place>()));
    ("%[a-z0-9%.-]{0,40}", "[a-z%]{0,200}", how, frames).prop_map(
        |(authority, other, (kind, name, in_huffman, resized), (padding, priority, cut))| {
            // A code that is cut is left alone.
            let cut = cut.filter(|_| !in_huffman);
            Sent { authority, other, kind, name, in_huffman, resized, padding, priority, cut }
        },
    )
}

impl Sent {
    fn frames(&self, stream: u32) -> Vec<u8> {
        let block = self.block(stream);
        let cut = self.cut.map_or(block.len(), |place| place.index(block.len()));
        let (begin, rest) = block.split_at(cut);
        let mut flags = END_STREAM | if self.cut.is_none() { END_HEADERS } else { 0 };
        let mut payload = Vec::new();
        if let Some(padding) = self.padding {
            flags |= PADDED;
            payload.push(padding);
        }
        if self.priority {
            flags |= PRIORITY;
            payload.extend([0, 0, 0, 0, 7]);
        }
        payload.extend(begin);
        payload.extend(vec![0; self.padding.unwrap_or_default().into()]);
        let mut frames = frame(HEADERS, flags, stream, &payload);
        if self.cut.is_some() {
            frames.extend(frame(CONTINUATION, END_HEADERS, stream, rest));
        }
        frames
    }

    fn block(&self, stream: u32) -> Vec<u8> {
        let text = |text| if self.in_huffman { Huffman(text) } else { Raw(text) };
        let name = match self.name {
            0 => Index(AUTHORITY),
            1 => Name::Literal(Raw(":authority")),
            _ => Name::Literal(Huffman(":authority")),
        };
        let sizes = if self.resized { [table_size(64), table_size(4096)].concat() } else { vec![] };
        let authority = literal(self.kind, name, text(&self.authority));
        let other = literal(self.kind, Name::Literal(text("x-other")), text(&self.other));
        block_after(&sizes, stream, &[authority, other].concat())
    }
}

/// In pieces of these lengths, again and again.
fn split<'a>(mut octets: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if octets.is_empty() {
            break;
        }
        let (piece, rest) = octets.split_at(octets.len().min(*length));
        pieces.push(piece);
        octets = rest;
    }
    pieces
}

/// What frames and fields begin with, so that something comes of it.
const TELLING: &[u8] = &[0, 1, 4, 5, 9, 10, 0x0d, 0x2d, b'%', 0x40, 0x41, 0x81, 0x85, 0x88, 0xff, 0x55, 0xaa];
