//! Makes the addon a program as well: the one that verbs run in.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    napi_build::setup();
    let entry = std::env::var("DEP_REMY_HELPER_ENTRY").expect("remy-db-helper has compiled it");
    println!("cargo::rustc-cdylib-link-arg={entry}");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-e,remy_start");
}
