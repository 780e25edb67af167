//! What one input may cost in memory. libFuzzer's own limit sees only what was touched; here the
//! claim counts, so that `Vec::with_capacity` of a number from the input is found.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most memory that one input may hold at a time: twice what the largest block unpacks to.
const LIMIT_BYTES: usize = 64 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);
static CEILING: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs one input; ends the process when it claims too much.
pub fn run(family: fn(&[u8]), bytes: &[u8]) {
    CEILING.store(HELD.load(Relaxed).saturating_add(LIMIT_BYTES), Relaxed);
    family(bytes);
    CEILING.store(usize::MAX, Relaxed);
}

/// The system's allocator, counted.
struct Counting;

impl Counting {
    fn claim(bytes: usize) {
        let held = HELD.fetch_add(bytes, Relaxed).saturating_add(bytes);
        // The report of a panic is not the input's doing.
        if held > CEILING.load(Relaxed) && !std::thread::panicking() {
            CEILING.store(usize::MAX, Relaxed);
            eprintln!("this input claims more than {LIMIT_BYTES} bytes of memory");
            std::process::abort();
        }
    }
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::claim(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::claim(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::claim(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}
