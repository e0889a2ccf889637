//! Nothing leaves without a record, whatever becomes of the log or of the client.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::client::SendRequest;
use prost::Message;
use signet_proto::istio::v1::auth::IstioCertificateRequest;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    connections::{head, http2},
    csr::{self, WEB},
    house::{House, eventually},
};

#[tokio::test]
async fn a_full_disk_stops_issuing_until_there_is_room_again() {
    let house = House::open().await;
    eventually(&house, "/readyz", "200 OK").await;
    let (log, kept) = (house.path("state/audit.jsonl"), house.path("kept.jsonl"));
    fs::rename(&log, &kept).unwrap();
    symlink("/dev/full", &log).unwrap();

    let status = house.ask(&csr::with_uris(&[WEB])).await.unwrap_err();

    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    assert!(!status.message().contains("audit"), "{}", status.message());
    let page = eventually(&house, "/readyz", "503 Service Unavailable").await;
    assert!(page.contains("No space left on device"), "{page}");
    assert_eq!(house.ask("").await.unwrap_err().code(), Code::Unavailable, "a refusal needs its record too");

    fs::remove_file(&log).unwrap();
    eventually(&house, "/readyz", "200 OK").await;
    assert!(house.ask(&csr::with_uris(&[WEB])).await.is_ok());
}

#[tokio::test]
async fn an_issuance_whose_client_leaves_is_audited_to_its_end() {
    for leave in [Leave::Reset, Leave::Vanish, Leave::Deadline] {
        let house = House::open().await;
        let stalled = StalledAudit::of(&house);
        let mut requests = http2(&house).await;
        let (answer, mut body) = requests.send_request(leave.head(&house), false).unwrap();
        body.send_data(message(&csr::with_uris(&[WEB])), true).unwrap();
        under_way(&mut requests, &house).await;

        match leave {
            Leave::Reset => body.send_reset(h2::Reason::CANCEL),
            Leave::Vanish => drop((requests, body)),
            Leave::Deadline => {
                assert_eq!(answer.await.unwrap().headers()["grpc-status"], "4", "DEADLINE_EXCEEDED")
            }
        }

        let issued = stalled.goes_on_until(r#""event":"issued""#).await;
        assert!(issued.contains(r#""event":"signing""#), "{leave:?}: {issued}");
    }
}

#[tokio::test]
async fn an_issuance_whose_client_leaves_keeps_its_place() {
    let house = House::with("[limits]\nin_flight = 1\nqueue = 1").await;
    let stalled = StalledAudit::of(&house);
    let mut requests = http2(&house).await;
    let (answer, mut body) = requests.send_request(Leave::Reset.head(&house), false).unwrap();
    body.send_data(message(&csr::with_uris(&[WEB])), true).unwrap();
    under_way(&mut requests, &house).await;
    body.send_reset(h2::Reason::CANCEL);
    under_way(&mut requests, &house).await; // by now the reset has been seen
    drop(answer);

    let csr = csr::with_uris(&[WEB]);
    let mut two: FuturesUnordered<_> = [house.ask(&csr), house.ask(&csr)].into_iter().collect();
    let first = tokio::time::timeout(Duration::from_secs(10), two.next()).await;

    let refused = first.expect("both found room beside the only place").unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    stalled.goes_on_until(r#""event":"issued""#).await;
    two.next().await.expect("the place is given on when the issuance has ended").ok();
}

#[tokio::test]
async fn a_stop_waits_for_an_issuance_whose_client_has_left() {
    let mut house = House::open().await;
    let stalled = StalledAudit::of(&house);
    let mut requests = http2(&house).await;
    let (answer, mut body) = requests.send_request(Leave::Vanish.head(&house), false).unwrap();
    body.send_data(message(&csr::with_uris(&[WEB])), true).unwrap();
    under_way(&mut requests, &house).await;
    drop((requests, answer, body));

    house.stop.cancel();
    while tokio::net::TcpStream::connect(house.grpc).await.is_ok() {}
    assert!(house.outlasts(Duration::from_millis(100)).await, "it ended under an issuance");

    stalled.goes_on_until(r#""event":"issued""#).await;
}

#[derive(Debug, Clone, Copy)]
enum Leave {
    Reset,
    Vanish,
    Deadline,
}

impl Leave {
    fn head(self, house: &House) -> http::Request<()> {
        let mut head = head(house, "istio.v1.auth.IstioCertificateService/CreateCertificate");
        // Long enough for a busy machine to begin the issuance.
        let timeout = if let Self::Deadline = self { "2S" } else { "1M" };
        head.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let token = format!("Bearer {}", house.token());
        head.headers_mut().insert("authorization", token.parse().unwrap());
        head
    }
}

/// The gRPC frame of a request.
fn message(csr: &str) -> Bytes {
    let message = IstioCertificateRequest { csr: csr.to_owned(), ..IstioCertificateRequest::default() };
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut frame).unwrap();
    frame.into()
}

/// What was sent on this connection before is under way: its core turns to requests in their order.
async fn under_way(requests: &mut SendRequest<Bytes>, house: &House) {
    let health = head(house, "grpc.health.v1.Health/Check");
    let (answer, mut body) = requests.send_request(health, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
}

/// An audit log that nobody reads: a pipe, on which the audit thread waits for a reader.
pub(crate) struct StalledAudit(PathBuf);

impl StalledAudit {
    pub(crate) fn of(house: &House) -> Self {
        let log = house.path("state/audit.jsonl");
        fs::rename(&log, house.path("before.jsonl")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        Self(log)
    }

    /// Reads until a line has this, and gives everything read.
    pub(crate) async fn goes_on_until(self, text: &'static str) -> String {
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            let mut pipe = BufReader::new(File::open(self.0).unwrap());
            while !all.contains(text) {
                assert_ne!(pipe.read_line(&mut all).unwrap(), 0, "the log ends after {all}");
            }
            all
        });
        tokio::time::timeout(Duration::from_secs(60), reading).await.expect(text).unwrap()
    }
}
