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
        }
    }
}
