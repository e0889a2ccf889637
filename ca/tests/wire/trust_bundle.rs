//! The roots, for whoever asks.

use bytes::{BufMut, BytesMut};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_proto::metadata::{BUNDLE_EPOCH, BUNDLE_SEQUENCE};
use tonic::Status;

use crate::{
    connections::{head, http2},
    csr::{self, WEB},
    house::House,
};

#[tokio::test]
async fn anybody_is_told_the_roots_that_come_with_a_certificate_and_how_new_they_are() {
    let house = House::with("[identity]\ntrust_domain = 'mesh.example'").await;
    let issued = house.ask(&csr::with_uris(&["spiffe://mesh.example/ns/default/sa/web"])).await.unwrap();

    let told = house.bundle().await;

    let roots = issued.get_ref().cert_chain.last().unwrap();
    let roots: Vec<_> = CertificateDer::pem_slice_iter(roots.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(told.x509_authorities, roots.iter().map(|root| root.to_vec()).collect::<Vec<_>>());
    assert_eq!(told.trust_domain, "mesh.example");
    let number = |name| issued.metadata().get(name).unwrap().to_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((told.epoch, told.sequence), (number(BUNDLE_EPOCH), number(BUNDLE_SEQUENCE)));
}

#[tokio::test]
async fn the_roots_are_told_while_nobody_can_be_authenticated() {
    let house = House::with_issuers("", "").await;
    house.ask(&csr::with_uris(&[WEB])).await.unwrap_err();

    assert_eq!(house.bundle().await.x509_authorities.len(), 1);
}

#[tokio::test]
async fn a_question_for_the_roots_that_is_longer_than_any_is_refused() {
    let house = House::open().await;
    for (case, length, refused) in [("the longest", 4096, false), ("one more", 4097, true)] {
        // One field of an unknown number: a tag, a length of two bytes, the rest.
        let mut message = BytesMut::from(&[0; 1][..]);
        message.put_u32(length);
        message.put_slice(&[0x7a, (length - 3) as u8 | 0x80, ((length - 3) >> 7) as u8]);
        message.resize(length as usize + 5, 0);
        let mut requests = http2(&house).await.ready().await.unwrap();
        let path = "signet.v1.TrustBundleService/GetTrustBundle";
        let (answer, mut body) = requests.send_request(head(&house, path), false).unwrap();
        body.send_data(message.freeze(), true).unwrap();

        let answer = answer.await.unwrap();

        assert_eq!(Status::from_header_map(answer.headers()).is_some(), refused, "{case}: {answer:?}");
    }
}
