//! Clients that mean harm: what each of them is able to hold, and for how long.

use tokio::{io::AsyncWriteExt, time::Instant};

use super::*;
use crate::connection::wire::{
    EMPTY_SETTINGS, END_HEADERS, HEADERS, INITIAL_WINDOW_SIZE, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame,
};

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_left_after_the_preface_deadline() {
    let (_client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    assert_eq!(served.end().await, End::Preface);
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_a_byte_a_second_is_left_as_soon() {
    let (client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    served.client.spawn(trickle(client, PREFACE.to_vec()));

    assert_eq!(served.end().await, End::Preface);
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_speaks_something_else_is_left_at_once() {
    let (mut client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: ca\r\n\r\n").await.unwrap();

    assert_eq!(served.end().await, End::Preface);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_left() {
    let (mut client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    client.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.unwrap();

    assert_eq!(served.end().await, End::Silent);
    assert_eq!(start.elapsed().as_secs(), 30); // 20 s of silence, 10 s for the answer
}

#[tokio::test(start_paused = true)]
async fn a_client_that_trickles_a_frame_and_answers_no_ping_is_left_too() {
    let (mut client, mut served) = Served::under(Limits::default());
    let start = Instant::now();

    let headers_of_16_kib = b"\0\x40\0\x01\x04\0\0\0\x01";
    client.write_all(&[PREFACE, EMPTY_SETTINGS, headers_of_16_kib].concat()).await.unwrap();
    served.client.spawn(trickle(client, vec![0; 16 << 10]));

    assert_eq!(served.end().await, End::Silent);
    assert!(start.elapsed() < 40 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_that_are_reset_at_once_end_the_connection() {
    let (mut client, mut served) = Served::under(Limits::default());
    let mut attack = [PREFACE, EMPTY_SETTINGS].concat();
    for stream in (1..2000u32).step_by(2) {
        attack.extend(frame(HEADERS, END_HEADERS, stream, b"\x83\x86\x84\x41\x01x")); // POST http / x
        attack.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())); // CANCEL
    }

    client.write_all(&attack).await.unwrap();

    assert_eq!(served.end().await, End::Broken);
    assert!(served.started() <= 20, "{} handlers", served.started());
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_reset_one_by_one_leave_no_handler_behind() {
    let (send, served) = Served::to_good_client(Limits::default()).await;

    for n in 1..=1000 {
        let request = Request::post("http://ca/test.Slow/3600").body(()).unwrap();
        let (_, mut body) = send.clone().ready().await.unwrap().send_request(request, false).unwrap();
        while served.started() < n {
            tokio::task::yield_now().await;
        }
        body.send_reset(h2::Reason::CANCEL);
    }

    sleep(SECOND).await;
    assert_eq!(served.slow.running.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_broken_streams_ends_the_connection() {
    let (mut client, mut served) = Served::under(Limits::default());
    let mut attack = [PREFACE, EMPTY_SETTINGS].concat();
    for stream in (1..2000u32).step_by(2) {
        attack.extend(frame(HEADERS, END_HEADERS, stream, b"\x83\x86\x84\x41\x01x"));
        // More than a window can be: we must reset the stream (RFC 9113 §6.9.1).
        attack.extend(frame(WINDOW_UPDATE, 0, stream, &(u32::MAX >> 1).to_be_bytes()));
    }

    client.write_all(&attack).await.unwrap();

    assert_eq!(served.end().await, End::Broken);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_costs_its_window_and_no_other_stream() {
    let (send, served) = Served::to_good_client(Limits::default()).await;

    let unread = call(&send, "flood", NO_HEADER).await.unwrap();
    let other = call(&send, "1", NO_HEADER).await.unwrap();

    assert_eq!(code(&other), Code::Ok);
    let held = served.slow.flooded_bytes.load(Ordering::Relaxed);
    assert!(held <= 160 << 10, "{held} bytes were produced for a reader that reads none");
    drop(unread);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_its_socket_costs_one_buffer_and_is_left_in_the_end() {
    let (mut client, mut served) = Served::under(Limits::default());
    let window = (16u32 << 20).to_be_bytes();
    let settings = frame(SETTINGS, 0, 0, &[&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window].concat());
    let open = frame(WINDOW_UPDATE, 0, 0, &window);
    let flood = frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x04\x10/test.Slow/flood\x41\x01x");

    client.write_all(&[PREFACE, &settings, &open, &flood].concat()).await.unwrap();

    assert_eq!(served.end().await, End::Silent);
    let held = served.slow.flooded_bytes.load(Ordering::Relaxed);
    assert!(
        held <= (80 << 10) + (16 << 10) + socket_buffer(&client), // the stream's, the turn's, the kernel's
        "{held} bytes were produced for a socket that is full"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_allowed() {
    let (send, served) = Served::to_good_client(Limits { streams: 4, ..Limits::default() }).await;
    call(&send, "0", NO_HEADER).await.unwrap(); // the server's settings have arrived

    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let send = send.clone();
        calls.spawn(async move { call(&send, "5", NO_HEADER).await.map(|answer| code(&answer)) });
    }
    sleep(SECOND).await;
    assert_eq!(served.started(), 1 + 4);

    for code in calls.join_all().await {
        assert_eq!(code.unwrap(), Code::Ok, "the others had to wait, no more");
    }
}

async fn trickle(mut client: UnixStream, bytes: Vec<u8>) -> Result<(), h2::Error> {
    for byte in bytes {
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(SECOND).await;
    }
    Ok(())
}

/// What the kernel takes of a stream that nobody reads.
fn socket_buffer(stream: &UnixStream) -> usize {
    rustix::net::sockopt::socket_send_buffer_size(stream).unwrap()
}
