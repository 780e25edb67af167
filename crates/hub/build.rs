//! Tells cargo that the page's folder is part of this crate: a file that is new in it is embedded at
//! the next build, which the compiler alone would not notice.

fn main() {
    println!("cargo::rerun-if-changed=dashboard");
}
