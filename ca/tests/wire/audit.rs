//! Nothing leaves without a record, whatever becomes of the log or of the client.

use std::{fs, os::unix::fs::symlink, time::Duration};

use bytes::Bytes;
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
    let house = House::open().await;
    let message =
        IstioCertificateRequest { csr: csr::with_uris(&[WEB]), ..IstioCertificateRequest::default() };
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut frame).unwrap();

    for leave in [Leave::Reset, Leave::Vanish] {
        for _ in 0..8 {
            let mut requests = http2(&house).await;
            let mut head = head(&house);
            let token = format!("Bearer {}", house.token());
            head.headers_mut().insert("authorization", token.parse().unwrap());
            let (answer, mut body) = requests.send_request(head, false).unwrap();
            body.send_data(Bytes::from(frame.clone()), true).unwrap();
            tokio::task::yield_now().await;
            match leave {
                Leave::Reset => body.send_reset(h2::Reason::CANCEL),
                Leave::Vanish => drop(requests),
            }
            drop(answer);
        }
    }
    assert!(house.ask(&csr::with_uris(&[WEB])).await.is_ok());
    tokio::time::sleep(Duration::from_millis(100)).await;

    let directory = house.close().await;
    let log = fs::read_to_string(directory.path().join("state/audit.jsonl")).unwrap();
    let count =
        |event: &str| log.lines().filter(|line| line.contains(&format!(r#""event":"{event}""#))).count();
    assert_eq!(count("signing"), count("issued"), "{log}");
    assert!(count("signing") >= 2, "the serving certificate and the last: {log}");
}

#[derive(Debug, Clone, Copy)]
enum Leave {
    Reset,
    Vanish,
}
