//! What nobody should send: it reaches h2 as it was sent, and so does all that follows it.

use super::*;

#[test]
fn what_is_malformed_is_left_alone_with_all_that_follows() {
    let needs_it = request(1, &authority(Raw(SENT)));
    let all = END_STREAM | END_HEADERS;
    let field = authority(Raw(SENT));
    let endless = [&[0x40, 0x7f][..], &[0xff; 40]].concat();
    for (name, frames) in [
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 3, &field)),
        ("DATA within a block", [frame(HEADERS, 0, 3, &[]), frame(DATA, 0, 3, b"x")].concat()),
        ("HEADERS within a block", [frame(HEADERS, 0, 3, &[]), frame(HEADERS, all, 5, &field)].concat()),
        ("more padding than frame", frame(HEADERS, all | PADDED, 3, &[&[255], &field[..]].concat())),
        ("no room for the padding's length", frame(HEADERS, all | PADDED, 3, &[])),
        ("no room for a priority", frame(HEADERS, all | PRIORITY, 3, &[0, 0, 0, 0])),
        ("a block that ends in an index", frame(HEADERS, all, 3, &[0x7f])),
        ("a block that ends in a name", frame(HEADERS, all, 3, &field[..4])),
        ("a block that ends before a value", frame(HEADERS, all, 3, &field[..12])),
        ("an index that does not end", frame(HEADERS, all, 3, &[0xff; 40])),
        ("a size that does not end", frame(HEADERS, all, 3, &[0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("a length that does not end", frame(HEADERS, all, 3, &endless)),
        ("a value longer than its block", frame(HEADERS, all, 3, &[1, 0x7f, 0xff, 0xff, 0xff, 0x7f, b'x'])),
    ] {
        let hostile = [&frames[..], &request(5, &field)].concat();
        let sent = connection(&[&needs_it[..], &hostile].concat());
        let given = read([&sent[..]], 4096);
        assert!(given.ends_with(&hostile), "{name}");
        assert_eq!(given.len(), sent.len(), "{name}");
        assert_eq!(read(sent.chunks(1), 1), given, "{name}, octet by octet");
    }
}

#[test]
fn h2_refuses_what_is_malformed_as_it_does_without_us() {
    let needs_it = request(1, &authority(Raw("localhost")));
    for (name, frames) in [
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 3, b"")),
        ("an integer that does not end", frame(HEADERS, END_HEADERS, 3, &[0xff; 40])),
        ("index 0", request(3, &[0x80])),
        ("a code that ends a string", request(3, &[1, 0x84, 0xff, 0xff, 0xff, 0xff])),
    ] {
        let frames = [&needs_it[..], &frames].concat();
        let (with, without) = (accepted(&frames), accepted_as_it_is(&frames));
        assert_eq!(format!("{:?}", with.1), format!("{:?}", without.1), "{name}");
        assert!(with.1.is_some(), "{name}");
        assert_eq!(with.0.len(), without.0.len(), "{name}");
    }
}

#[test]
fn a_frame_of_the_greatest_length_holds_nothing() {
    let head = b"\xff\xff\xff\x01\x04\0\0\0\x01";
    let sent = connection(&[&head[..], &[1, 0x7f, 0x80, 0xff, 0xff, 0x07], &[b'%'; 200_000]].concat());
    let mut cx = Context::from_waker(Waker::noop());
    let mut reader = Mended::new(Pieces::of(sent.chunks(4096)));
    let mut given = Vec::new();
    let mut octets = [0; 4096];
    loop {
        let mut buf = ReadBuf::new(&mut octets);
        if Pin::new(&mut reader).poll_read(&mut cx, &mut buf).is_pending() {
            break;
        }
        given.extend_from_slice(buf.filled());
        let held = reader.mending.as_ref().map_or(0, |mending| mending.kept.capacity());
        assert!(held <= 2 * READ_BYTES, "{held} bytes are held");
    }
    let mended: Vec<_> = sent.iter().map(|&octet| if octet == b'%' { b'-' } else { octet }).collect();
    assert!(given == mended, "{} octets of {}", given.len(), sent.len());
}
