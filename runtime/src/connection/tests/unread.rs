//! What waits on a connection for services that have not read it yet.

use super::*;

/// An SDS ACK: version, nonce and name.
const ACK_BYTES: usize = 170;

/// Sends `messages` of this length on each of `streams` streams, none of which is read, and lets them arrive.
async fn leave_unread(
    send: &SendRequest<Bytes>,
    streams: usize,
    messages: usize,
    length: usize,
) -> Vec<Unread> {
    let mut unread = Vec::new();
    for _ in 0..streams {
        let request = Request::post("http://ca/test.Slow/unread").body(()).unwrap();
        let Ok(mut send) = send.clone().ready().await else { return unread };
        let (answer, mut body) = send.send_request(request, false).unwrap();
        for _ in 0..messages {
            let _broken = body.send_data(vec![0; length].into(), false);
        }
        unread.push((answer, body));
    }
    sleep(SECOND).await;
    unread
}

type Unread = (h2::client::ResponseFuture, h2::SendStream<Bytes>);

#[tokio::test(start_paused = true)]
async fn a_connection_with_thousands_of_streams_outlasts_that_all_of_them_speak_at_once() {
    for (name, messages, length) in [("an ACK on each", 1, ACK_BYTES), ("two of the smallest", 2, 1)] {
        let limits = Limits { streams: 4001, ..Limits::default() };
        let (send, served) = Served::to_good_client(limits).await;
        call(&send, "0", NO_HEADER).await.unwrap(); // the server's settings have arrived

        let _unread = leave_unread(&send, 4000, messages, length).await;

        assert_eq!(served.started(), 1 + 4000, "{name}");
        let answer = call(&send, "0", NO_HEADER).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(code(&answer), Code::Ok, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lets_small_messages_pile_up_is_told_to_calm_down() {
    for (streams, most) in [(16, 514), (256, 514), (4096, 8224)] {
        for (messages, kept) in [(most, true), (most + 1, false)] {
            let (send, mut served) = Served::to_good_client(Limits { streams, ..Limits::default() }).await;
            call(&send, "0", NO_HEADER).await.unwrap(); // the server's settings have arrived

            let _unread = leave_unread(&send, 1, messages, 1).await;

            let answer = call(&send, "0", NO_HEADER).await;
            assert_eq!(answer.is_ok(), kept, "{streams} streams, {messages} messages: {answer:?}");
            if !kept {
                assert_eq!(served.end().await, End::Broken);
            }
        }
    }
}
