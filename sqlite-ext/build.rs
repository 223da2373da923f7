//! Makes the library a program as well: the one that does its work.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let entry = std::env::var("DEP_REMY_HELPER_ENTRY").expect("remy-db-helper has compiled it");
    println!("cargo::rustc-cdylib-link-arg={entry}");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-e,remy_start");
}
