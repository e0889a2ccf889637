//! What h2 is given, and that it takes it.

mod hostile;
mod listening;
mod property;
mod writing;

use std::task::Waker;

use super::pieces::{Pieces, read};
use super::*;
use crate::connection::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PRIORITY, frame,
};
use listening::{accepted, accepted_as_it_is, connection};
use writing::{
    AUTHORITY, Huffman, Index, Indexed, NEWEST, Name, NeverIndexed, NotIndexed, Raw, USER_AGENT, authority,
    block, block_after, huffman, indexed, literal, request, table_size,
};

/// As Envoy sends it, and as h2 gets it.
const SENT: &str = "run%2Fsignet%2Fagent.sock";
const MENDED: &str = "run-2Fsignet-2Fagent.sock";

#[test]
fn every_form_of_an_authority_is_mended() {
    let named = |text| Name::Literal(text);
    for (name, field) in [
        ("as the core of gRPC writes it", authority(Raw(SENT))),
        ("in Huffman's code", authority(Huffman(SENT))),
        ("the name in Huffman's code", literal(Indexed, named(Huffman(":authority")), Raw(SENT))),
        ("both", literal(Indexed, named(Huffman(":authority")), Huffman(SENT))),
        ("the name by its index", literal(Indexed, Index(AUTHORITY), Raw(SENT))),
        ("by its index, Huffman", literal(Indexed, Index(AUTHORITY), Huffman(SENT))),
        ("not indexed", literal(NotIndexed, named(Raw(":authority")), Raw(SENT))),
        ("not indexed, by its index", literal(NotIndexed, Index(AUTHORITY), Huffman(SENT))),
        ("never indexed", literal(NeverIndexed, named(Huffman(":authority")), Raw(SENT))),
        ("never indexed, by its index", literal(NeverIndexed, Index(AUTHORITY), Huffman(SENT))),
    ] {
        let frames = request(1, &field);
        assert!(accepted_as_it_is(&frames).0.is_empty(), "{name}: h2 takes it by now: we are not needed");
        assert_eq!(authorities(&frames), [MENDED], "{name}");
    }
}

#[test]
fn it_is_mended_in_frames_of_every_form() {
    let block = block(1, &authority(Raw(SENT)));
    let (priority, padding) = (&[0, 0, 0, 0, 15][..], &[b'%'; 200][..]);
    let (most, end) = (END_STREAM | END_HEADERS, END_HEADERS);
    for (name, frames) in [
        ("padded", frame(HEADERS, most | PADDED, 1, &[&[200], &block[..], padding].concat())),
        ("padded with nothing", frame(HEADERS, most | PADDED, 1, &[&[0], &block[..]].concat())),
        ("with a priority", frame(HEADERS, most | PRIORITY, 1, &[priority, &block].concat())),
        (
            "with both",
            frame(HEADERS, most | PADDED | PRIORITY, 1, &[&[200], priority, &block, padding].concat()),
        ),
        (
            "all of it in CONTINUATION",
            [frame(HEADERS, END_STREAM, 1, &[]), frame(CONTINUATION, end, 1, &block)].concat(),
        ),
        (
            "an octet a frame",
            [
                frame(HEADERS, END_STREAM | PADDED, 1, &[&[200], &block[..1], padding].concat()),
                block[1..].iter().flat_map(|octet| frame(CONTINUATION, 0, 1, &[*octet])).collect(),
                frame(CONTINUATION, end, 1, &[]),
            ]
            .concat(),
        ),
    ] {
        assert_eq!(authorities(&frames), [MENDED], "{name}");
    }
}

#[test]
fn a_block_may_go_on_in_another_frame_at_any_octet() {
    for field in [authority(Raw(SENT)), literal(NotIndexed, Name::Literal(Huffman(":authority")), Raw(SENT))]
    {
        let block = block(1, &field);
        for (begin, rest) in (0..=block.len()).map(|at| block.split_at(at)) {
            let frames =
                [frame(HEADERS, END_STREAM, 1, begin), frame(CONTINUATION, END_HEADERS, 1, rest)].concat();
            assert_eq!(authorities(&frames), [MENDED], "split at {}", begin.len());
        }
    }
}

/// Nobody writes that: a client that has a `%` to send sends it in one frame. Whoever does is refused by h2, as
/// everybody was.
#[test]
fn a_percent_whose_last_bit_is_in_another_frame_is_left_alone() {
    // 00000 010101 01010|1: the second one ends with the first bit of the third octet.
    let field = authority(Huffman("0%%"));
    assert_eq!(huffman("0%%"), [0b0000_0010, 0b1010_1010, 0b1111_1111]);
    let block = block(1, &field);
    let (begin, rest) = block.split_at(block.len() - 1);
    let frames = [frame(HEADERS, END_STREAM, 1, begin), frame(CONTINUATION, END_HEADERS, 1, rest)].concat();

    assert_eq!(accepted(&frames).0.len(), 0);
    assert_eq!(authorities(&request(1, &field)), ["0--"], "while in one frame it is mended");
}

#[test]
fn characters_are_found_at_every_bit() {
    for before in ["", "1", "12", "123", "%", "b", "z", "zz", "X", "X1", "Xz3", "XXX", "a=_%"] {
        let sent = format!("{before}%25%.{before}%");
        // `=`, `_` and `X` are there for the lengths of their codes; h2 takes them in names of hosts.
        assert_eq!(authorities(&request(1, &authority(Huffman(&sent)))), [sent.replace('%', "-")], "{sent}");
    }
}

#[test]
fn later_requests_find_it_in_the_table_or_write_it_anew() {
    let other = "other%2F.sock";
    let frames = [
        request(1, &authority(Raw(SENT))),
        frame(DATA, 0, 1, b""),
        request(3, &indexed(NEWEST)),
        request(5, &literal(NotIndexed, Index(AUTHORITY), Huffman(other))),
        request(7, &indexed(NEWEST)),
    ];
    let frames = [&frames[0][..], &frames[2], &frames[3], &frames[4]].concat();

    assert_eq!(authorities(&frames), [MENDED, MENDED, "other-2F.sock", MENDED]);
}

#[test]
fn a_new_size_of_the_table_and_other_fields_are_stepped_over() {
    let long = "100%".repeat(100);
    let fields = [
        literal(Indexed, Name::Literal(Raw("x-percent")), Raw("100%")),
        literal(NeverIndexed, Name::Literal(Huffman("x-percent")), Huffman("100%")),
        literal(NotIndexed, Index(USER_AGENT), Raw(&long)),
        indexed(NEWEST),
        literal(Indexed, Name::Literal(Raw("x-authority")), Raw("run%2F")),
    ]
    .concat();
    let sizes = [table_size(0), table_size(4096)].concat();
    let block = block_after(&sizes, 1, &[authority(Huffman(SENT)), fields].concat());

    let (requests, error) = accepted(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));

    assert!(error.is_none(), "{error:?}");
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.uri().authority().unwrap(), MENDED);
    assert_eq!(request.headers().get_all("x-percent").iter().collect::<Vec<_>>(), ["100%", "100%", "100%"]);
    assert_eq!(request.headers()["user-agent"], long);
    assert_eq!(request.headers()["x-authority"], "run%2F");
}

#[test]
fn a_connection_may_be_read_in_two_pieces_split_at_any_octet() {
    for text in [Raw(SENT), Huffman(SENT), Huffman("1%%%%%%%%")] {
        let second = literal(NotIndexed, Name::Literal(Huffman(":authority")), text);
        let octets = connection(&[request(1, &authority(text)), request(3, &second)].concat());
        let whole = read([&octets[..]], 4096);
        assert_eq!(whole.len(), octets.len());
        assert_ne!(whole, octets);
        for at in 0..=octets.len() {
            let (begin, rest) = octets.split_at(at);
            assert_eq!(read([begin, rest], 4096), whole, "{text:?} split at {at}");
        }
        assert_eq!(read(octets.chunks(1), 1), whole, "{text:?}, octet by octet");
    }
}

#[test]
fn the_first_request_decides() {
    for (name, first, mended) in [
        ("no percent", authority(Raw("localhost")), "later%2F.sock"),
        (
            "none in the code either",
            literal(Indexed, Index(AUTHORITY), Huffman("localhost")),
            "later%2F.sock",
        ),
        ("no authority", vec![], "later%2F.sock"),
        ("a percent", authority(Raw(SENT)), "later-2F.sock"),
    ] {
        let sent = connection(&[request(1, &first), request(3, &authority(Raw("later%2F.sock")))].concat());
        let given = read([&sent[..]], 4096);
        assert!(given.ends_with(mended.as_bytes()), "{name}: {given:?}");
    }
}

#[test]
fn nothing_is_left_of_it_on_a_connection_that_does_not_need_it() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut octets = [0; 4096];
    for (value, needs_it) in [("localhost", false), (SENT, true)] {
        let mut reader = Mended::new(Pieces::of([&connection(&request(1, &authority(Raw(value))))[..]]));

        let mut buf = ReadBuf::new(&mut octets);
        assert!(Pin::new(&mut reader).poll_read(&mut cx, &mut buf).is_ready());

        let held = reader.mending.as_ref().map(|mending| mending.kept.capacity());
        assert_eq!(held, needs_it.then_some(0), "{value}: and if it does, no buffer while it is idle");
    }
}

#[test]
fn an_octet_that_waits_for_the_next_is_passed_on_when_the_connection_ends() {
    let octets = connection(&request(1, &authority(Huffman("0%%"))));
    let cut = &octets[..octets.len() - 1];

    let given = read([cut], 4096);

    assert_eq!(given.len(), cut.len());
    assert_eq!(given.last(), cut.last());
}

/// What h2 hears, request by request.
fn authorities(frames: &[u8]) -> Vec<String> {
    let (requests, error) = accepted(frames);
    assert!(error.is_none(), "{error:?}");
    requests.iter().map(|request| request.uri().authority().unwrap().to_string()).collect()
}
