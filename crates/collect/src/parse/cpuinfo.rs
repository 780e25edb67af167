//! `/proc/cpuinfo`: the CPU's model. The beginning of the file is enough, and since the kernel asks
//! every core for its clock to write the rest, the beginning is all that should be read.

use std::borrow::Cow;

use super::scan::{hexadecimal, lines, printable, trim};
use super::{ParseError, bounded};

const FILE: &str = "/proc/cpuinfo";

/// The longest model name that is kept, in characters.
pub const MAX_MODEL_CHARACTERS: usize = 128;

/// What the beginning of `/proc/cpuinfo` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuInfo {
    /// Model name, made printable; empty where the kernel does not say.
    pub model: String,
    /// Whether the CPU says that a hypervisor is under it (x86 only).
    pub hypervisor: bool,
}

/// The lines that name the CPU, the most telling first: x86, old ARM and MIPS, POWER, RISC-V, s390.
const MODEL_KEYS: [&[u8]; 6] =
    [b"model name", b"cpu model", b"Processor", b"cpu", b"uarch", b"vendor_id"];

/// Parses `/proc/cpuinfo`, or its beginning.
///
/// # Errors
/// When there is not one line `key : value`.
pub fn parse(bytes: &[u8]) -> Result<CpuInfo, ParseError> {
    let mut names: [Option<&[u8]>; MODEL_KEYS.len()] = [None; MODEL_KEYS.len()];
    let (mut implementer, mut part) = (None, None);
    let (mut hypervisor, mut any) = (false, false);
    for (_, line) in lines(bounded(FILE, bytes)?) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (key, value) = line.split_at(colon);
        let (key, value) = (trim(key), trim(value.get(1..).unwrap_or_default()));
        any = true;
        if let Some(place) = MODEL_KEYS.iter().position(|known| *known == key) {
            if let Some(name) = names.get_mut(place) {
                name.get_or_insert(value);
            }
            continue;
        }
        match key {
            b"CPU implementer" => implementer = implementer.or_else(|| prefixed_hex(value)),
            b"CPU part" => part = part.or_else(|| prefixed_hex(value)),
            b"flags" => {
                hypervisor |=
                    value.split(u8::is_ascii_whitespace).any(|flag| flag == b"hypervisor");
            }
            _ => {}
        }
    }
    if !any {
        return Err(ParseError::whole(FILE, "there is no line of the form \"key : value\""));
    }
    let model = match names.iter().flatten().find(|name| !name.is_empty()) {
        Some(name) => printable(name, MAX_MODEL_CHARACTERS),
        None => arm_model(implementer, part).into_owned(),
    };
    Ok(CpuInfo { model, hypervisor })
}

fn prefixed_hex(value: &[u8]) -> Option<u64> {
    hexadecimal(value.strip_prefix(b"0x").unwrap_or(value))
}

/// The name of a 64-bit ARM core, which the kernel tells only by numbers. From the MIDR tables of
/// the architecture's makers, servers only.
fn arm_model(implementer: Option<u64>, part: Option<u64>) -> Cow<'static, str> {
    let (Some(implementer), Some(part)) = (implementer, part) else { return Cow::Borrowed("") };
    Cow::Borrowed(match (implementer, part) {
        (0x41, 0xd08) => "ARM Cortex-A72",
        (0x41, 0xd0c) => "ARM Neoverse-N1",
        (0x41, 0xd40) => "ARM Neoverse-V1",
        (0x41, 0xd49) => "ARM Neoverse-N2",
        (0x41, 0xd4f) => "ARM Neoverse-V2",
        (0x41, 0xd42) => "ARM Cortex-A78AE",
        (0x41, 0xd84) => "ARM Neoverse-V3",
        (0x41, 0xd8e) => "ARM Neoverse-N3",
        (0x48, 0xd01) => "HiSilicon Kunpeng-920",
        (0xc0, 0xac3) => "Ampere-1",
        (0xc0, 0xac4) => "Ampere-1a",
        (0x4e, 0x004) => "NVIDIA Carmel",
        _ => return Cow::Owned(format!("ARM implementer {implementer:#04x} part {part:#05x}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_names_its_cpu_in_its_own_way() {
        for (input, model, hypervisor) in [
            (&b"processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\nmodel name\t: AMD EPYC 9654\nflags\t: fpu hypervisor lm\n"[..], "AMD EPYC 9654", true),
            (b"processor : 0\nBogoMIPS : 50\nCPU implementer : 0x41\nCPU part : 0xd4f\n", "ARM Neoverse-V2", false),
            (b"CPU implementer : 0x99\nCPU part : 0x001\n", "ARM implementer 0x99 part 0x001", false),
            (b"Processor : ARMv7 rev 4\nprocessor : 0\n", "ARMv7 rev 4", false),
            (b"processor : 0\ncpu : POWER9, altivec supported\n", "POWER9, altivec supported", false),
            (b"model name : \xff\x1b[31m\nflags : nohypervisor", "??[31m", false),
            (b"model name :\nkey : value\nvendor_id : IBM/S390", "IBM/S390", false),
            (b"key : value", "", false),
        ] {
            assert_eq!(parse(input).unwrap(), CpuInfo { model: model.to_owned(), hypervisor });
        }
        assert!(parse(b"noise\nwithout sense").is_err());
    }
}
