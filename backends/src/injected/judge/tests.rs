use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use super::*;
use crate::{
    injected::{
        read,
        testing::{Ca, DAY, Files, Pki, now, write},
    },
    test_support::{KEY_KINDS, key_pem, openssl},
};

/// Longer than [`MIN`] and shorter than anything else.
const MIN: Duration = Duration::from_secs(3600);

fn in_directory(files: &Files) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    directory
}

fn judged(files: &Files) -> Result<InjectedSet, Faults> {
    read(in_directory(files).path(), now(), MIN)
}

fn good(case: &str, files: &Files) -> InjectedSet {
    judged(files).unwrap_or_else(|faults| panic!("{case}: {faults}"))
}

fn ders<const N: usize>(all: [&Ca; N]) -> Vec<CertificateDer<'static>> {
    all.map(|ca| ca.der.clone()).to_vec()
}

#[test]
fn a_set_of_either_layout_is_taken() {
    let pki = Pki::new();
    for (layout, files) in [("cacerts", pki.cacerts()), ("kubernetes.io/tls", pki.tls())] {
        let set = good(layout, &files);

        assert_eq!(set.certificate.der(), &pki.signer.der, "{layout}");
        assert_eq!(set.key.public_key(), set.certificate.public_key(), "{layout}");
        assert_eq!(set.intermediates, ders([&pki.signer, &pki.between]), "{layout}");
        assert_eq!(set.roots, ders([&pki.root]), "{layout}");
        assert_eq!(set.remarks, [""; 0], "{layout}");
    }
}

#[test]
fn a_root_that_signs_needs_nothing_between() {
    let root = Ca::root("root");
    let cacerts = Files::from([
        ("ca-cert.pem", root.pem()),
        ("ca-key.pem", root.key.clone()),
        ("root-cert.pem", root.pem()),
    ]);
    let with_chain = cacerts.clone().into_iter().chain([("cert-chain.pem", root.pem())]).collect();
    let tls = Files::from([("tls.crt", root.pem()), ("tls.key", root.key.clone()), ("ca.crt", root.pem())]);
    for (case, files) in [("without a chain", cacerts), ("with itself as chain", with_chain), ("TLS", tls)] {
        let set = good(case, &files);
        assert_eq!((set.intermediates, set.roots), (vec![], ders([&root])), "{case}");
    }
}

#[test]
fn a_signer_of_every_kind_of_key_and_form_is_taken() {
    let root = Ca::root("root");
    for (kind, genpkey) in KEY_KINDS {
        let pkcs8 = key_pem(genpkey);
        let signer = root.below_of("signer", KeyPair::from_pem(&pkcs8).unwrap(), |_| {});
        let older = if kind == "Ed25519" { pkcs8.clone() } else { openssl("pkey -traditional", &pkcs8) };
        for key in [pkcs8, older] {
            let files = Files::from([("tls.crt", signer.pem()), ("tls.key", key), ("ca.crt", root.pem())]);
            assert_eq!(good(kind, &files).certificate.der(), &signer.der, "{kind}");
        }
    }
}

#[test]
fn the_order_and_the_extent_of_the_chain_do_not_matter() {
    let pki = Pki::new();
    let [root, between, signer] = [&pki.root, &pki.between, &pki.signer].map(Ca::pem);
    let stranger = Ca::root("stranger").pem();
    for (case, chain) in [
        ("in order", format!("{signer}{between}{root}")),
        ("reversed", format!("{root}{between}{signer}")),
        ("without the signer", format!("{between}{root}")),
        ("without the root", format!("{signer}{between}")),
        ("what is needed", between.clone()),
        ("doubled", format!("{between}{between}")),
        ("with another", format!("{stranger}{between}")),
        ("with remarks", format!("subject=CN = between\n{between}\n\n")),
        ("CRLF", between.replace('\n', "\r\n")),
    ] {
        let mut files = pki.cacerts();
        files.insert("cert-chain.pem", chain);
        assert_eq!(good(case, &files).intermediates, ders([&pki.signer, &pki.between]), "{case}");
    }
    for (case, certificate) in
        [("in order", format!("{signer}{between}{root}")), ("reversed", format!("{root}{between}{signer}"))]
    {
        let mut files = pki.tls();
        files.insert("tls.crt", certificate);
        let set = good(case, &files);
        assert_eq!(set.certificate.der(), &pki.signer.der, "{case}: the one that the key belongs to signs");
        assert_eq!(set.intermediates, ders([&pki.signer, &pki.between]), "{case}");
    }
}

#[test]
fn all_roots_of_the_file_are_roots_and_none_is_twice() {
    let (pki, other) = (Pki::new(), Ca::root("other"));
    let mut files = pki.cacerts();
    files.insert("root-cert.pem", other.pem() + &pki.root.pem() + &other.pem());
    assert_eq!(good("several", &files).roots, ders([&other, &pki.root]));
}

#[test]
fn a_chain_that_stands_among_the_roots_is_used_as_one() {
    let pki = Pki::new();
    let mut files = pki.cacerts();
    files.remove("cert-chain.pem");
    files.insert("root-cert.pem", pki.signer.pem() + &pki.between.pem() + &pki.root.pem());
    assert_eq!(good("all", &files).intermediates, ders([&pki.signer, &pki.between]));
}

#[test]
fn an_anchor_that_is_not_self_signed_is_taken_and_remarked_on() {
    let pki = Pki::new();
    let mut files = pki.tls();
    files.insert("ca.crt", pki.between.pem());

    let set = good("cert-manager's ca.crt can be an intermediate", &files);

    assert_eq!(set.intermediates, ders([&pki.signer]));
    assert!(set.remarks[0].starts_with("ca.crt: `CN=between`"), "{:?}", set.remarks);
}

#[test]
fn of_two_ways_up_the_one_without_a_fault_is_taken() {
    let [old, new] = ["old", "new"].map(Ca::root);
    let between = KeyPair::generate().unwrap().serialize_pem();
    let pair = || KeyPair::from_pem(&between).unwrap();
    let by_old = old.below_of("between", pair(), |params| params.not_after = (now() - DAY).into());
    let by_new = new.below_of("between", pair(), |_| {});
    let signer = by_new.below("signer");
    for chain in [by_old.pem() + &by_new.pem(), by_new.pem() + &by_old.pem()] {
        let files = Files::from([
            ("ca-cert.pem", signer.pem()),
            ("ca-key.pem", signer.key.clone()),
            ("cert-chain.pem", chain),
            ("root-cert.pem", old.pem() + &new.pem()),
        ]);
        assert_eq!(good("cross-signed", &files).intermediates, ders([&signer, &by_new]));
    }
}

/// The same authority, signed by each of `by`.
fn cross_signed(name: &str, by: &[&Ca]) -> Vec<Ca> {
    let key = KeyPair::generate().unwrap().serialize_pem();
    by.iter().map(|by| by.below_of(name, KeyPair::from_pem(&key).unwrap(), |_| {})).collect()
}

#[test]
fn of_two_good_ways_up_the_shorter_one_is_taken() {
    let root = Ca::root("root");
    let upper = root.below("upper");
    let between = cross_signed("between", &[&upper, &root]);
    let signer = between[0].below("signer");
    let files = Files::from([
        ("tls.crt", signer.pem() + &between[0].pem() + &upper.pem() + &between[1].pem()),
        ("tls.key", signer.key.clone()),
        ("ca.crt", root.pem()),
    ]);

    assert_eq!(good("cross-signed", &files).intermediates, ders([&signer, &between[1]]));
}

/// Each of a layer is signed by each of the layer above: more ways than anybody wants to walk.
#[test]
fn a_maze_of_authorities_that_have_signed_each_other_is_found_through() {
    let root = Ca::root("root");
    let mut pool = vec![root.clone()];
    let mut layer = vec![root.clone()];
    for name in ["1", "2", "3", "4"] {
        let above: Vec<_> = layer.iter().cycle().take(4).collect();
        layer = cross_signed(name, &above);
        pool.extend(layer.clone());
    }
    let signer = layer[0].below("signer");
    let found = |ca: &Ca| Found { file: "tls.crt", number: 1, der: ca.der.clone() };
    let (pool, signer, roots): (Vec<_>, _, _) =
        (pool.iter().map(found).collect(), found(&signer), [found(&root)]);

    let ways = path::find(&signer, &pool, &roots).unwrap().len();

    assert!((1..=16).contains(&ways), "{ways}");
}

#[test]
fn what_is_left_of_a_certificate_is_enough_to_the_second() {
    let root = Ca::root("root");
    for (left, outcome) in [(MIN, true), (MIN - Duration::from_secs(1), false)] {
        let signer = root.below_with("signer", |params| params.not_after = (now() + left).into());
        let files =
            Files::from([("tls.crt", signer.pem()), ("tls.key", signer.key.clone()), ("ca.crt", root.pem())]);
        assert_eq!(judged(&files).is_ok(), outcome, "{left:?}");
    }
}

#[test]
fn the_longest_chain_that_peers_follow_is_taken_and_one_more_is_refused() {
    let root = Ca::root("root");
    let mut chain = vec![root.below("1")];
    for name in ["2", "3", "4", "5", "6", "7"] {
        chain.push(chain.last().unwrap().below(name));
    }
    let files = |signer: usize| {
        Files::from([
            ("tls.crt", chain[..=signer].iter().rev().map(Ca::pem).collect::<String>()),
            ("tls.key", chain[signer].key.clone()),
            ("ca.crt", root.pem()),
        ])
    };
    assert_eq!(good("six", &files(5)).intermediates.len(), 6);
    let refused = judged(&files(6)).unwrap_err().to_string();
    assert!(refused.contains("more than 6 certificates would stand between"), "{refused}");
}

#[test]
fn roots_beside_the_one_that_counts_may_be_over_or_to_come() {
    let pki = Pki::new();
    let over = Ca::root_with("over", |params| params.not_after = (now() - DAY / 2).into());
    let to_come = Ca::root_with("to come", |params| params.not_before = (now() + DAY).into());
    let mut files = pki.cacerts();
    files.insert("root-cert.pem", over.pem() + &pki.root.pem() + &to_come.pem());

    let set = good("three roots", &files);

    assert_eq!(set.roots.len(), 3);
    assert!(set.remarks[0].contains("`CN=over` is over since 2027-01-14T"), "{:?}", set.remarks);
    assert!(set.remarks[1].contains("`CN=to come` is not valid before 2027-01-16T"), "{:?}", set.remarks);
}

#[test]
fn a_key_that_everybody_may_read_is_taken_and_remarked_on() {
    let directory = in_directory(&Pki::new().tls());
    let key = directory.path().join("tls.key");
    for (mode, remarks) in [(0o400, 0), (0o440, 0), (0o600, 0), (0o644, 1), (0o444, 1)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let set = read(directory.path(), now(), MIN).unwrap();
        assert_eq!(set.remarks.len(), remarks, "{mode:o}: {:?}", set.remarks);
        assert!(set.remarks.iter().all(|remark| remark.contains("tls.key") && remark.contains("chmod o-r")));
    }
}

/// A fault of the files, and what is told of it: the file, the fact, the remedy.
type Row = (&'static str, fn(&mut Files, &Pki), &'static str);

const FAULTS_OF_FILES: &[Row] = &[
    (
        "no certificate",
        |files, _| drop(files.remove("ca-cert.pem")),
        "ca-cert.pem: is missing; it should hold",
    ),
    ("no key", |files, _| drop(files.remove("ca-key.pem")), "ca-key.pem: is missing; it should hold"),
    ("no roots", |files, _| drop(files.remove("root-cert.pem")), "root-cert.pem: is missing; it should hold"),
    (
        "no chain",
        |files, _| drop(files.remove("cert-chain.pem")),
        "ca-cert.pem: `CN=signer` leads to no root of root-cert.pem: its issuer `CN=between` is in none",
    ),
    ("empty roots", |files, _| put(files, "root-cert.pem", ""), "root-cert.pem: has no certificate in it"),
    (
        "empty chain",
        |files, _| put(files, "cert-chain.pem", "\n"),
        "cert-chain.pem: has no certificate in it",
    ),
    (
        "DER",
        |files, _| put(files, "ca-cert.pem", "0\u{82}\u{1}"),
        "ca-cert.pem: has no certificate in it; want `CERTIFICATE` blocks in PEM",
    ),
    (
        "cut short",
        |files, _| cut(files, "root-cert.pem"),
        "root-cert.pem: is not PEM: a block of it is damaged",
    ),
    ("key cut short", |files, _| cut(files, "ca-key.pem"), "ca-key.pem: it is not PEM"),
    (
        "a key for a certificate",
        |files, pki| put(files, "ca-cert.pem", &pki.signer.key),
        "ca-cert.pem: has no certificate",
    ),
    (
        "a certificate for a key",
        |files, pki| put(files, "ca-key.pem", &pki.signer.pem()),
        "ca-key.pem: it has no private key in it",
    ),
    (
        "an encrypted key",
        |files, pki| put(files, "ca-key.pem", &openssl("pkcs8 -topk8 -passout pass:x", &pki.signer.key)),
        "ca-key.pem: the private key is encrypted; decrypt it with `openssl pkey",
    ),
    (
        "two keys",
        |files, pki| put(files, "ca-key.pem", &(pki.signer.key.clone() + &pki.between.key)),
        "ca-key.pem: it has several private keys",
    ),
    (
        "a weak key",
        |files, _| put(files, "ca-key.pem", &key_pem("-algorithm RSA -pkeyopt rsa_keygen_bits:1024")),
        "ca-key.pem: the private key is refused: an RSA key of 1024 bits is not allowed",
    ),
    (
        "another key",
        |files, pki| put(files, "ca-key.pem", &pki.between.key),
        "ca-key.pem: holds another key than the one that ca-cert.pem is for",
    ),
    (
        "both layouts",
        |files, pki| files.extend(pki.tls()),
        ": 1 fault. it has two authorities, ca-cert.pem with ca-key.pem and tls.crt with tls.key; leave",
    ),
    (
        "nothing",
        |files, _| files.clear(),
        ": 1 fault. it has no authority in it; put ca-cert.pem, ca-key.pem",
    ),
    (
        "a key alone",
        |files, _| files.retain(|name, _| *name == "ca-key.pem"),
        "2 faults. ca-cert.pem: is missing; it should hold the certificate that signs. root-cert.pem: is missing",
    ),
    (
        "the roots of the other layout alone",
        |files, pki| *files = Files::from([("ca.crt", pki.root.pem())]),
        "2 faults. tls.key: is missing; it should hold the private key that signs. tls.crt: is missing",
    ),
    (
        "too many in the chain",
        |files, pki| put(files, "cert-chain.pem", &pki.between.pem().repeat(17)),
        "cert-chain.pem: has more than 16 certificates",
    ),
    (
        "too many roots",
        |files, pki| put(files, "root-cert.pem", &pki.root.pem().repeat(65)),
        "root-cert.pem: has more than 64 certificates",
    ),
    (
        "the root is not among the roots",
        |files, _| put(files, "root-cert.pem", &Ca::root("other").pem()),
        "`CN=between` leads to no root of root-cert.pem: its issuer `CN=root` is self-signed and not there",
    ),
    (
        "a root of the same name",
        |files, pki| {
            put(files, "cert-chain.pem", &pki.between.pem());
            put(files, "root-cert.pem", &Ca::root("root").pem());
        },
        "`CN=between` leads to no root of root-cert.pem: `CN=root` is there: it was not signed by that key",
    ),
    (
        "a root that signs and is not among the roots",
        |files, pki| {
            put(files, "ca-cert.pem", &pki.root.pem());
            put(files, "ca-key.pem", &pki.root.key);
            put(files, "root-cert.pem", &Ca::root("other").pem());
        },
        "ca-cert.pem: `CN=root` leads to no root of root-cert.pem: it is self-signed; add it there",
    ),
    (
        "a damaged certificate",
        |files, _| put(files, "ca-cert.pem", &signet_identity::certificate_pem(b"nothing")),
        "ca-cert.pem: certificate 1: the CA certificate is malformed",
    ),
];

fn put(files: &mut Files, name: &'static str, content: &str) {
    files.insert(name, content.to_owned());
}

fn cut(files: &mut Files, name: &'static str) {
    let half = files[name].split_at(files[name].len() / 2).0.to_owned();
    files.insert(name, half);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name_and_the_remedy() {
    let pki = Pki::new();
    for (case, change, told) in FAULTS_OF_FILES {
        let mut files = pki.cacerts();
        change(&mut files, &pki);
        let refused = judged(&files).map(drop).unwrap_err().to_string();
        assert!(refused.contains(told), "{case}: {refused}");
    }
}

/// A fault of one certificate of the way up, and what is told of it wherever it stands.
type CertificateRow = (&'static str, fn(&mut CertificateParams), &'static str);

const FAULTS_OF_CERTIFICATES: &[CertificateRow] = &[
    (
        "a leaf",
        |params| params.is_ca = IsCa::ExplicitNoCa,
        "not a CA's: basicConstraints does not say CA:TRUE",
    ),
    (
        "no keyCertSign",
        |params| params.key_usages = vec![KeyUsagePurpose::CrlSign],
        "keyUsage does not allow keyCertSign",
    ),
    (
        "for servers only",
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        "extendedKeyUsage lacks serverAuth or clientAuth",
    ),
    (
        "URI name constraints",
        |params| {
            let uris_of_cluster_local =
                [&[0x30, 19, 0xa0, 17, 0x30, 15, 0x86, 13], &b"cluster.local"[..]].concat();
            let extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], uris_of_cluster_local);
            params.custom_extensions = vec![extension];
        },
        "URI name constraints, under which rustls (webpki) rejects every SVID; issue it anew without them",
    ),
    (
        "expired",
        |params| params.not_after = (now() - Duration::from_secs(1)).into(),
        "is over since 2027-01-15T07:59:59Z; put a new one",
    ),
    (
        "not yet valid",
        |params| params.not_before = (now() + Duration::from_secs(1)).into(),
        "is not valid before 2027-01-15T08:00:01Z; wait, or check the clock",
    ),
    (
        "nearly over",
        |params| params.not_after = (now() + MIN - Duration::from_secs(1)).into(),
        "ends at 2027-01-15T08:59:59Z, and should last at least 1h more; put a new one",
    ),
];

#[test]
fn what_is_wrong_with_a_certificate_is_told_wherever_it_stands() {
    for (case, change, told) in FAULTS_OF_CERTIFICATES {
        for (file, at) in ["root-cert.pem", "cert-chain.pem", "ca-cert.pem"].into_iter().zip(0..) {
            let change = |level: usize| {
                move |params: &mut CertificateParams| {
                    if level == at {
                        change(params);
                    }
                }
            };
            let root = Ca::root_with("root", change(0));
            let between = root.below_with("between", change(1));
            let signer = between.below_with("signer", change(2));
            let files = Pki { root, between, signer }.cacerts();
            let name = ["root", "between", "signer"][at];

            let refused = judged(&files).unwrap_err().to_string();
            assert!(refused.contains(&format!("1 fault. {file}: `CN={name}`")), "{case}, {name}: {refused}");
            assert!(refused.contains(told), "{case}, {name}: {refused}");
        }
    }
}

#[test]
fn a_path_length_that_is_used_up_is_told_and_one_that_is_just_enough_is_not() {
    let limited = |to: Option<u8>| {
        move |params: &mut CertificateParams| {
            if let Some(to) = to {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(to));
            }
        }
    };
    for (case, [root, between, signer], told) in [
        ("just enough", [Some(2), Some(1), Some(0)], None),
        ("none is said", [None, None, None], None),
        (
            "of the root",
            [Some(1), None, None],
            Some("root-cert.pem: `CN=root` allows 1 CA certificates below"),
        ),
        (
            "between",
            [None, Some(0), None],
            Some("cert-chain.pem: `CN=between` allows 0 CA certificates below"),
        ),
    ] {
        let root = Ca::root_with("root", limited(root));
        let between = root.below_with("between", limited(between));
        let signer = between.below_with("signer", limited(signer));
        let outcome = judged(&Pki { root, between, signer }.cacerts());
        match told {
            None => assert!(outcome.is_ok(), "{case}: {outcome:?}"),
            Some(told) => {
                let refused = outcome.unwrap_err().to_string();
                assert!(refused.contains(told), "{case}: {refused}");
            }
        }
    }
}

#[test]
fn a_root_is_refused_for_what_makes_it_unsafe_even_if_no_leaf_leads_to_it() {
    let pki = Pki::new();
    let weak = key_pem("-algorithm RSA -pkeyopt rsa_keygen_bits:1024");
    let weak = openssl("req -new -x509 -key /dev/stdin -subj /CN=weak", &weak);
    let leaf = Ca::root_with("leaf", |params| params.is_ca = IsCa::ExplicitNoCa).pem();
    for (case, root, told) in [
        (
            "weak",
            weak,
            "root-cert.pem: `CN=weak`: the CA certificate's key is refused: an RSA key of 1024 bits",
        ),
        ("a leaf", leaf, "root-cert.pem: `CN=leaf`: the certificate is not a CA's"),
    ] {
        let mut files = pki.cacerts();
        files.insert("root-cert.pem", pki.root.pem() + &root);
        let refused = judged(&files).unwrap_err().to_string();
        assert!(refused.contains(told), "{case}: {refused}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let pki = Pki::new();
    let over = pki.between.below_with("over", |params| params.not_after = (now() - DAY / 2).into());
    let mut files = pki.cacerts();
    files.insert("ca-cert.pem", over.pem());
    files.remove("root-cert.pem");
    files.insert("cert-chain.pem", "-----BEGIN CERTIFICATE-----\nMII".to_owned());

    let refused = judged(&files).unwrap_err().to_string();

    for told in [
        ": 4 faults. ",
        "ca-cert.pem: `CN=over` is over since",
        "ca-key.pem: holds another key",
        "root-cert.pem: is missing",
        "cert-chain.pem: is not PEM",
    ] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
}

#[test]
fn files_that_cannot_be_used_are_told_with_the_reason() {
    let pki = Pki::new();
    for (case, spoil, told) in [
        (
            "written by everybody",
            (|path| fs::set_permissions(path, Permissions::from_mode(0o646)).unwrap()) as fn(&Path),
            "can be written by everybody: mode 0646",
        ),
        (
            "too large",
            |path| fs::write(path, vec![b'\n'; (1 << 20) + 1]).unwrap(),
            "is larger than 1048576 bytes",
        ),
        (
            "a directory",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "it is not a regular file",
        ),
    ] {
        for name in pki.tls().keys() {
            let directory = in_directory(&pki.tls());
            spoil(&directory.path().join(name));
            let refused = read(directory.path(), now(), MIN).unwrap_err().to_string();
            assert!(refused.contains(&format!(" {name}: ")), "{case}: {refused}");
            assert!(refused.contains(told), "{case}: {refused}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_one_fault() {
    let directory = in_directory(&Pki::new().tls());
    let absent = directory.path().join("absent");
    let told = |path: &Path| read(path, now(), MIN).unwrap_err().to_string();
    let prefix = format!("{}: 1 fault. cannot read", absent.display());
    assert!(told(&absent).starts_with(&prefix), "{}", told(&absent));
    assert!(told(&absent).contains("mount the Secret there"), "{}", told(&absent));
    assert!(told(&directory.path().join("tls.crt")).contains("1 fault. cannot read"), "a file");

    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(told(directory.path()).contains("1 fault. ") && told(directory.path()).contains("chmod o-w"));
}

#[test]
fn no_secret_is_in_what_is_told() {
    let pki = Pki::new();
    let secret = pki.signer.key.lines().nth(1).unwrap();
    let mut files = pki.cacerts();
    let set = good("good", &files);
    assert!(!format!("{set:?}").contains(secret));
    files.insert("ca-key.pem", pki.signer.key.replace("END", "AND"));
    let refused = judged(&files).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains(secret), "{refused}");
}
