//! Whatever the bytes, no parser panics, and what one accepts is bounded.

use proptest::prelude::*;

use super::*;

/// Every parser, once; the fuzz target has the same list.
fn all(bytes: &[u8]) {
    let _ = boot_id::parse(bytes);
    let _ = cpu_stat::parse(bytes);
    let _ = cpuinfo::parse(bytes).map(|info| {
        assert!(info.model.chars().count() <= cpuinfo::MAX_MODEL_CHARACTERS);
    });
    let _ = diskstats::parse(bytes);
    let _ = file_nr::parse(bytes);
    crate::fuzzing::kernel_log(bytes);
    let _ = loadavg::parse(bytes);
    let _ = meminfo::parse(bytes).map(|info| {
        assert!(info.available_or_estimate().is_none_or(|available| available <= info.total));
    });
    let _ = mountinfo::parse(bytes);
    let _ = net_dev::parse(bytes);
    let _ = os_release::parse(bytes);
    let _ = pid_cmdline::parse(bytes).map(|command| {
        assert!(command.chars().count() <= pid_cmdline::MAX_COMMAND_CHARACTERS);
        assert!(!command.chars().any(char::is_control));
    });
    let _ = pid_stat::parse(bytes);
    let _ = pressure::parse(bytes);
    let _ = route::parse(bytes);
    let _ = route::parse_v6(bytes);
    let _ = snmp::parse(bytes);
    let _ = sysfs::parse_unsigned("x", bytes);
    let _ = sysfs::parse_signed("x", bytes);
    let _ = sysfs::parse_hexadecimal("x", bytes);
    let _ = sysfs::parse_temperature(bytes);
    let _ = sysfs::text(bytes, 64);
    let _ = uptime::parse(bytes);
    let _ = vmstat::parse(bytes);
}

/// Bytes made of what the files are made of, so that the parsers get past their first line.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "cpu",
            "cpu0",
            "intr",
            "MemTotal:",
            "kB",
            "some",
            "avg10=",
            "Tcp:",
            "CurrEstab",
            "RetransSegs",
            "Iface",
            "|",
            ":",
            "-",
            "(",
            ")",
            "S",
            "pswpin",
            "oom_kill",
            "model name",
            "flags",
            "0x",
            "PRETTY_NAME=",
            "\"",
            "'",
            "\\",
            "\\040",
            "--token",
            "://",
            "@",
            "=",
            "8",
            "0:5",
            "rw",
            "ro",
            "00000000000000000000000000000000",
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    let separator = proptest::sample::select(vec![&b" "[..], b"\n", b"\t", b"\0", b"", b"  "]);
    proptest::collection::vec((word, separator), 0..60).prop_map(|parts| {
        parts
            .into_iter()
            .flat_map(|(word, separator)| [word, separator.to_vec()].concat())
            .collect()
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        all(&bytes);
    }

    #[test]
    fn likely_bytes_never_panic(bytes in likely()) {
        all(&bytes);
    }
}

#[test]
fn too_much_is_refused_and_a_long_line_is_not() {
    let too_much = vec![b'1'; INPUT_LIMIT + 1];
    assert_eq!(
        cpu_stat::parse(&too_much).unwrap_err().to_string(),
        format!("/proc/stat: {} bytes are more than the limit of {INPUT_LIMIT}", INPUT_LIMIT + 1)
    );
    for byte in [b'1', b' ', b'\n', b'(', b'\\', b'=', 0, 0xff] {
        all(&vec![byte; 1 << 20]);
    }
}
