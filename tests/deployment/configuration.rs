//! The configuration files of the stack and of the manifests, as the binary reads them.

use std::path::Path;

use cdc_e2e::relay::bare_command;

use crate::files::{names, root, yaml};

/// What `cdc-relay config` says of a file.
fn effective(file: &Path) -> String {
    let output = bare_command("config")
        .unwrap()
        .env("CDC_CONFIG", file)
        .env("CDC_POSTGRES__URL", "postgres://relay@localhost/app")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", file.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_binary_takes_the_configuration_of_the_stack() {
    let told = effective(&root().join("docker/cdc-relay.toml"));
    assert!(told.contains("poison = \"park\""), "{told}");
}

#[test]
fn the_binary_takes_the_configuration_of_the_manifests() {
    let directory = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for name in names("deploy/kubernetes") {
        for manifest in yaml(&format!("deploy/kubernetes/{name}")) {
            if let Some(text) = manifest["data"]["cdc-relay.toml"].as_str() {
                let file = directory.path().join("cdc-relay.toml");
                std::fs::write(&file, text).unwrap();
                effective(&file);
                taken += 1;
            }
        }
    }
    assert_eq!(taken, 1);
}
