//! Kanary.

fn main() {
    print!("{}", kanary::api::crd::yaml().unwrap_or_default());
}
