//! The exported C functions, with NVML's own names and signatures.
//!
//! What must hold: every pointer is checked for null before it is written to; nothing unwinds out
//! of here (no function panics, and `extern "C"` would abort); a handle is a number dressed as a
//! pointer and is never followed. This module and its children are the only ones with `unsafe`.
#![expect(
    unsafe_code,
    reason = "a C library: exported names, and out-parameters that are raw pointers"
)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;

use nvml_wrapper_sys::bindings as nvml;

use crate::world::{self, Code, Target};

mod device;

mod fields;

mod processes;

/// Success, as NVML counts it.
const SUCCESS: Code = nvml::nvmlReturn_enum_NVML_SUCCESS;
const NOT_SUPPORTED: Code = nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
const INVALID_ARGUMENT: Code = nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
const INSUFFICIENT_SIZE: Code = nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE;

/// Turns a result into the code that C sees.
fn code(result: Result<(), Code>) -> Code {
    match result {
        Ok(()) => SUCCESS,
        Err(code) => code,
    }
}

/// Writes to an out-parameter of the caller.
///
/// # Safety
/// `place` is null, or valid for a write of `T`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), Code> {
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller promises that it is valid for a write.
    unsafe { place.write(value) };
    Ok(())
}

/// Writes text and its final NUL into a buffer of the caller.
///
/// # Safety
/// `buffer` is null, or valid for writes of `length` bytes.
unsafe fn put_text(buffer: *mut c_char, length: c_uint, text: &[u8]) -> Result<(), Code> {
    if buffer.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    let fits = usize::try_from(length).is_ok_and(|length| text.len() < length);
    if !fits {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: not null, valid for `length` bytes by the caller's promise, and the text with its
    // NUL is no longer than that; the regions cannot overlap, one is the caller's.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast::<c_char>(), buffer, text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}

/// The part of C's `Dl_info` that is looked at; the layout is the platform's.
#[repr(C)]
struct LibraryInfo {
    file_name: *const c_char,
    base: *mut c_void,
    symbol_name: *const c_char,
    symbol: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut LibraryInfo) -> c_int;
}

/// The path of the file that this code was loaded from.
pub(crate) fn own_path() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut info = LibraryInfo {
        file_name: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol_name: std::ptr::null(),
        symbol: std::ptr::null_mut(),
    };
    let inside: unsafe extern "C" fn() -> Code = nvmlInit_v2;
    // SAFETY: `dladdr` only compares the address and fills the structure, which is ours.
    let found = unsafe { dladdr(inside as *const c_void, &raw mut info) };
    if found == 0 || info.file_name.is_null() {
        return None;
    }
    // SAFETY: after success it is a NUL-terminated string that lives as long as the library.
    let name = unsafe { CStr::from_ptr(info.file_name) };
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes())))
}

fn initialise(function: &'static str) -> Code {
    code(world::enter(function, Target::Library).map(|scenario| world::initialised(&scenario)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlInit_v2() -> Code {
    initialise("nvmlInit_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Code {
    initialise("nvmlInitWithFlags")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlShutdown() -> Code {
    let result = world::enter("nvmlShutdown", Target::Library).map(drop);
    world::shut_down();
    code(result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlErrorString(result: Code) -> *const c_char {
    let text: &CStr = match result {
        SUCCESS => c"Success",
        nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED => c"Uninitialized",
        INVALID_ARGUMENT => c"Invalid Argument",
        NOT_SUPPORTED => c"Not Supported",
        nvml::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION => c"Insufficient Permissions",
        nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND => c"Not Found",
        INSUFFICIENT_SIZE => c"Insufficient Size",
        nvml::nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED => c"Driver Not Loaded",
        nvml::nvmlReturn_enum_NVML_ERROR_TIMEOUT => c"Timeout",
        nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST => c"GPU is lost",
        nvml::nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED => c"GPU requires reset",
        nvml::nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH => {
            c"Driver/library version mismatch"
        }
        _ => c"Unknown Error",
    };
    text.as_ptr()
}

/// One of the library's own texts.
///
/// # Safety
/// As [`put_text`].
unsafe fn library_text(
    function: &'static str,
    buffer: *mut c_char,
    length: c_uint,
    text: impl FnOnce(&crate::Scenario) -> Option<&str>,
) -> Code {
    code(world::enter(function, Target::Library).and_then(|scenario| {
        let text = text(&scenario).ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller promises what `put_text` asks for.
        unsafe { put_text(buffer, length, text.as_bytes()) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(buffer: *mut c_char, length: c_uint) -> Code {
    // SAFETY: C callers pass a buffer of `length` bytes, or null.
    unsafe {
        library_text("nvmlSystemGetDriverVersion", buffer, length, |scenario| {
            scenario.driver_version.as_deref()
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(buffer: *mut c_char, length: c_uint) -> Code {
    // SAFETY: C callers pass a buffer of `length` bytes, or null.
    unsafe {
        library_text("nvmlSystemGetNVMLVersion", buffer, length, |scenario| {
            scenario.nvml_version.as_deref()
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> Code {
    let function = "nvmlSystemGetCudaDriverVersion_v2";
    code(world::enter(function, Target::Library).and_then(|scenario| {
        let number = scenario.cuda_driver_version.ok_or(NOT_SUPPORTED)?;
        // SAFETY: C callers pass a place for the number, or null.
        unsafe { put(version, number) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Code {
    world::write_calls();
    code(world::enter("nvmlDeviceGetCount_v2", Target::Library).and_then(|scenario| {
        let gpus = c_uint::try_from(scenario.gpus.len()).map_err(|_| INVALID_ARGUMENT)?;
        // SAFETY: C callers pass a place for the number, or null.
        unsafe { put(count, gpus) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(
    index: c_uint,
    handle: *mut nvml::nvmlDevice_t,
) -> Code {
    let function = "nvmlDeviceGetHandleByIndex_v2";
    code(world::enter(function, Target::Library).and_then(|scenario| {
        let (number, _) = scenario.by_index(index).ok_or(INVALID_ARGUMENT)?;
        world::suffer(&scenario, function, Target::Gpu(number))?;
        // SAFETY: C callers pass a place for the handle, or null.
        unsafe { put(handle, device::handle(number, None)) }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_through_null_or_past_the_end() {
        let mut number = 0_u32;
        // SAFETY: null is allowed, and `number` is ours.
        unsafe {
            assert_eq!(put::<u32>(std::ptr::null_mut(), 7), Err(INVALID_ARGUMENT));
            assert_eq!(put(&raw mut number, 7), Ok(()));
        }
        assert_eq!(number, 7);

        for (length, expected) in
            [(0, Err(INSUFFICIENT_SIZE)), (3, Err(INSUFFICIENT_SIZE)), (4, Ok(())), (8, Ok(()))]
        {
            let mut buffer = [0x7f; 8];
            // SAFETY: the buffer is ours and at least `length` long.
            let result = unsafe { put_text(buffer.as_mut_ptr(), length, b"GPU") };
            assert_eq!(result, expected, "{length}");
            let written = if expected.is_ok() { 4 } else { 0 };
            assert!(buffer[written..].iter().all(|&byte| byte == 0x7f), "{length}");
        }
        // SAFETY: null is allowed.
        let result = unsafe { put_text(std::ptr::null_mut(), 8, b"GPU") };
        assert_eq!(result, Err(INVALID_ARGUMENT));
    }

    #[test]
    fn calls_without_a_world_or_with_a_foreign_handle_fail_and_do_not_crash() {
        // SAFETY: null is allowed everywhere; handles are never followed.
        unsafe {
            assert_ne!(nvmlDeviceGetCount_v2(std::ptr::null_mut()), SUCCESS);
            let nobody = std::ptr::null_mut();
            assert_eq!(
                device::nvmlDeviceGetPowerUsage(nobody, std::ptr::null_mut()),
                INVALID_ARGUMENT
            );
            assert!(!nvmlErrorString(4242).is_null());
        }
    }
}
