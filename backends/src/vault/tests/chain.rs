//! Who signs, and under which roots.

use serde_json::json;

use super::{bao::Bao, client, soon};
use crate::vault::{IssuerChain, VaultError};

#[tokio::test]
async fn the_issuer_is_read_without_a_token_and_followed_when_it_changes() {
    let bao = Bao::start().await;
    let read = async |lines: &str| IssuerChain::read(&client(&[bao.port], lines), soon()).await;
    let root = read("").await.unwrap();
    assert_eq!(
        (root.intermediates.as_slice(), &root.roots),
        (&[][..], &vec![root.certificate.der().clone()])
    );

    bao.add_intermediate("mesh").await;
    let mesh = read("issuer = 'mesh'").await.unwrap();
    assert_eq!(mesh.intermediates, [mesh.certificate.der().clone()]);
    assert_eq!(mesh.roots, root.roots);

    let pem = bao.directory.path().join("roots.pem");
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(&pem, other.cert.pem()).unwrap();
    let pinned = read(&format!("roots_file = '{}'", pem.display())).await.unwrap();
    assert_eq!(pinned.roots, [other.cert.der().clone()]);

    bao.write(
        "pki/root/rotate/internal",
        json!({"issuer_name": "root-2", "common_name": "root 2", "key_type": "ec"}),
    )
    .await;
    bao.write("pki/root/replace", json!({"default": "root-2"})).await;
    assert_ne!(read("").await.unwrap().roots, root.roots);

    let absent = read("issuer = 'absent'").await;
    assert!(absent.is_err(), "{absent:?}");
    let elsewhere = read("mount = 'elsewhere'").await;
    assert!(
        matches!(elsewhere, Err(VaultError::NoSuchPath { .. } | VaultError::Denied { .. })),
        "{elsewhere:?}"
    );
}
