//! Ways in for the fuzz targets to what reads bytes from outside and is nobody else's to call.

/// What the `amdgpu` driver writes into sysfs.
pub fn amd(bytes: &[u8]) {
    crate::gpu::any_amd_bytes(bytes);
}

/// What `nvidia-smi` prints.
pub fn nvidia_smi(bytes: &[u8]) {
    crate::gpu::nvidia_smi::any::any_bytes(bytes);
}

/// Packets that arrive on an echo socket.
pub fn echo(bytes: &[u8]) {
    crate::latency::any_packet(bytes);
}

/// What other processes say: an interpreter about torch, a probe child about what it found.
pub fn answers(bytes: &[u8]) {
    crate::torch::any_answer(bytes);
    crate::probe_child::any_line(bytes);
}

/// What a remote node sends: split where the first byte says, to every lane in turn.
pub fn remote(bytes: &[u8]) {
    crate::remote::any_answer(bytes);
}

/// Lines of a kernel's log, in both forms, and what the fault catalogue finds in them.
pub fn kernel_log(bytes: &[u8]) {
    use crate::parse::kernel_log::{MAX_MESSAGE_BYTES, Parsed, kmsg, text};
    for line in bytes.split(|&byte| byte == b'\n') {
        for parsed in [kmsg(line), text(line)] {
            let Parsed::Kernel(line) = parsed else { continue };
            assert!(line.message.len() <= MAX_MESSAGE_BYTES);
            let position = sickbay_model::LogPosition(line.sequence.unwrap_or_default());
            let found =
                crate::FaultMatcher::embedded().find(line.message, line.since_boot_us, position);
            let Some(found) = found else { continue };
            assert!(found.line.chars().count() <= sickbay_model::FaultSighting::MAX_LINE + 1);
            let texts = found.facts.values().chain([&found.line, &found.device]);
            assert!(texts.flat_map(|text| text.chars()).all(|char| !char.is_control()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            super::amd(&bytes);
            super::nvidia_smi(&bytes);
            super::echo(&bytes);
            super::answers(&bytes);
            super::remote(&bytes);
            super::kernel_log(&bytes);
        }
    }
}
