//! The checked-in code is what the `.proto` files say.
#![cfg(test)]
#![allow(missing_docs, clippy::disallowed_methods, reason = "a test, switched by one environment variable")]

use std::{fs, path::Path};

use prost::Message;

const PROTOS: [&str; 3] =
    ["istio/v1/auth/ca.proto", "envoy/service/secret/v3/sds.proto", "signet/v1/trust_bundle.proto"];
/// Reached only through `Any`, so no service pulls it in.
const SECRET: &str = "envoy/extensions/transport_sockets/tls/v3/secret.proto";

#[test]
fn the_generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked_in = root.join("src/generated");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).unwrap();
    generate(&root.join("proto"), &fresh);

    if std::env::var_os("UPDATE_GENERATED").is_some() {
        for (name, content) in files(&fresh) {
            fs::write(checked_in.join(name), content).unwrap();
        }
    }
    let (want, have) = (files(&fresh), files(&checked_in));
    let names = |set: &[(String, Vec<u8>)]| set.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(&want), names(&have), "files under src/generated");
    for ((name, want), (_, have)) in want.iter().zip(&have) {
        assert!(want == have, "src/generated/{name} is stale: see the crate's documentation");
    }
}

fn generate(protos: &Path, out: &Path) {
    let descriptors =
        protox::compile(PROTOS.iter().copied().chain([SECRET]), [protos]).expect("the .proto files parse");
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec()).unwrap();
    let mut config = tonic_prost_build::Config::new();
    config.bytes(["."]).include_file("mod.rs");
    tonic_prost_build::configure()
        .out_dir(out)
        .codec_path("crate::SmallBufferCodec")
        .compile_fds_with_config(descriptors, config)
        .expect("code for the .proto files");
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}
