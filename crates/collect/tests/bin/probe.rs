//! The probe child as the tests start it: what the product's binary runs behind `__probe`.

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    sickbay_collect::probe_main(&args)
}
