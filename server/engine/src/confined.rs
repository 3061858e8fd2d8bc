//! A program from outside, such as a chat template, on a thread of its own that can have only so much
//! memory and time.
//!
//! What such a program asks for can't be counted from within it: one filter may ask for a terabyte, and
//! where the system hasn't got it, Rust ends the process. Nor can a thread be ended. So the allocator
//! counts for it ([`Confining`], which the program that is run must have as its own): a thread that
//! asks for more than is left to it is stopped there, for good, with what it holds. Who waits for it is
//! told, and the program isn't run again, so that at most one thread of each is lost.
//!
//! Bounded are the memory, beside the thread's own stack, and the time that the caller waits. Not bounded
//! is the time of a thread that neither ends nor asks for memory: it goes on where nobody waits for it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a caller waits; what is run here takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });
/// After so long a thread is stopped where it asks for memory. Later than its caller has left, so that
/// one that was merely kept from running can still end, and the next caller finds all well; one that was
/// kept from it for longer than this can't.
const LIFETIME: Duration = Duration::from_secs(if cfg!(test) { 6 } else { 60 });
/// How often a caller looks whether the thread was stopped.
const GLANCE: Duration = Duration::from_millis(10);
/// Bytes of address space for the thread's stack: values may be nested as deep as a program has steps,
/// and are dropped by recursion. Only what is used of it takes memory.
const STACK: usize = 512 << 20;

/// An allocator that hands on to another one, and stops confined threads that ask for too much.
#[derive(Debug)]
pub struct Confining<A>(pub A);

#[derive(Clone, Copy)]
struct Allowance {
    /// Bytes that it may still ask for.
    left: usize,
    until: Instant,
    state: &'static State,
}

thread_local! {
    /// What this thread is allowed; `None` allows everything. It has no destructor and isn't made at
    /// first use, either of which would need memory.
    static ALLOWANCE: Cell<Option<Allowance>> = const { Cell::new(None) };
}

/// Takes from this thread's allowance, before the memory is asked for. Doesn't return if there isn't
/// enough: an allocator must not unwind, and if it had nothing to give, the process would end.
fn take(bytes: usize) {
    let _ = ALLOWANCE.try_with(|cell| {
        let Some(mut allowance) = cell.get() else { return };
        // Who reports a panic holds locks that others wait for.
        if std::thread::panicking() {
            return;
        }
        if bytes > allowance.left || Instant::now() > allowance.until {
            allowance.state.stopped.store(true, Ordering::Release);
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        allowance.left -= bytes;
        cell.set(Some(allowance));
    });
}

fn give_back(bytes: usize) {
    let _ = ALLOWANCE.try_with(|cell| {
        let Some(mut allowance) = cell.get() else { return };
        allowance.left = allowance.left.saturating_add(bytes);
        cell.set(Some(allowance));
    });
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
// SAFETY: every call is handed on as it is; counting touches no memory but a cell of the thread.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Confining<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller's.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: as the caller's.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there for as long as it takes to copy.
        take(size);
        // SAFETY: as the caller's.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        give_back(if moved.is_null() { size } else { layout.size() });
        moved
    }
}

/// Where the runs of one program are; see [`Confined::run`].
#[derive(Debug, Default)]
struct State {
    /// A thread runs, or was stopped.
    busy: AtomicBool,
    /// It was stopped.
    stopped: AtomicBool,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It asked for more memory than this many bytes.
    Memory(usize),
    /// It took too long.
    Time,
    /// An earlier run hasn't ended, and perhaps never will.
    Busy,
    /// It panicked.
    Panic,
    /// The system gave no thread, and says why.
    Thread(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => {
                write!(f, "it asks for more memory than {} MB", bytes.div_ceil(1 << 20))
            }
            Self::Time => write!(f, "it doesn't end within {} s", PATIENCE.as_secs()),
            Self::Busy => f.write_str("it hasn't come to an end with an earlier conversation"),
            Self::Panic => f.write_str("it makes its interpreter panic"),
            Self::Thread(reason) => write!(f, "there is no thread to run it on ({reason})"),
        }
    }
}

/// Runs of one program, one at a time.
#[derive(Debug)]
pub struct Confined {
    turn: Mutex<()>,
    /// Never freed, since a thread that was stopped has it for good.
    state: &'static State,
}

impl Default for Confined {
    fn default() -> Self {
        Self { turn: Mutex::default(), state: Box::leak(Box::default()) }
    }
}

impl Confined {
    /// What `work` returns, if it asks for no more than `memory` bytes at a time and ends while somebody
    /// waits. Without [`Confining`] as the process's allocator only the time is bounded.
    ///
    /// # Errors
    /// [`Refusal`]; after one for memory, or while a late run hasn't ended, every further run is refused.
    pub fn run<T: Send + 'static>(
        &self,
        memory: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state;
        if state.busy.swap(true, Ordering::AcqRel) {
            return Err(Refusal::Busy);
        }
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("confined".to_owned()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let ended = Ended(state);
            let until = Instant::now() + LIFETIME;
            ALLOWANCE.set(Some(Allowance { left: memory, until, state }));
            let made = work();
            // Before the caller knows, so that its next run isn't refused.
            drop(ended);
            // Nobody listens where the caller has given up.
            let _ = sender.send(made);
        });
        if let Err(error) = spawned {
            state.busy.store(false, Ordering::Release);
            return Err(Refusal::Thread(error.to_string()));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match receiver.recv_timeout(GLANCE) {
                Ok(made) => return Ok(made),
                Err(RecvTimeoutError::Disconnected) => return Err(Refusal::Panic),
                Err(RecvTimeoutError::Timeout) if state.stopped.load(Ordering::Acquire) => {
                    return Err(Refusal::Memory(memory));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > until => {
                    return Err(Refusal::Time);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Whether a run that nobody waits for any more hasn't ended; it may never.
    pub fn is_stuck(&self) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.busy.load(Ordering::Acquire)
    }
}

/// Notes that a run is over, with a panic too; the thread's own end is no matter of the program.
struct Ended(&'static State);

impl Drop for Ended {
    fn drop(&mut self) {
        ALLOWANCE.set(None);
        self.0.busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: usize = 1 << 20;

    #[test]
    fn memory_is_counted_while_it_is_held() {
        let confined = Confined::default();
        let sum: Result<usize, _> = confined.run(MEMORY, || {
            // Ten times as much as there is, but never at once.
            (0..10)
                .map(|_| vec![1_u8; MEMORY - 1000].iter().map(|x| *x as usize).sum::<usize>())
                .sum()
        });
        assert_eq!(sum, Ok(10 * (MEMORY - 1000)));
        let grown = confined.run(MEMORY, || {
            let mut text = String::new();
            (0..1000).for_each(|_| text.push_str(&"x".repeat(100)));
            text.len()
        });
        assert_eq!(grown, Ok(100_000));
        assert!(!confined.is_stuck());
    }

    #[test]
    fn who_asks_for_too_much_is_stopped_and_not_run_again() {
        for bytes in [2 * MEMORY, 1 << 40, isize::MAX as usize] {
            let confined = Confined::default();
            let made = confined.run(MEMORY, move || {
                std::hint::black_box(Vec::<u8>::with_capacity(bytes)).capacity()
            });
            assert_eq!(made, Err(Refusal::Memory(MEMORY)), "{bytes}");
            assert!(confined.is_stuck());
            assert_eq!(confined.run(MEMORY, || 3), Err(Refusal::Busy));
        }
        // Nobody else is held up by it.
        assert_eq!(Confined::default().run(MEMORY, || vec![7_u8; 1000].len()), Ok(1000));
    }

    #[test]
    fn a_panic_is_an_end_like_any_other() {
        let confined = Confined::default();
        let made = confined.run(MEMORY, || -> usize { panic!("as if by a broken template") });
        assert_eq!(made, Err(Refusal::Panic));
        assert_eq!(confined.run(MEMORY, || 3), Ok(3));
    }

    #[test]
    fn values_may_be_nested_as_deep_as_memory_allows() {
        struct Nested(#[expect(dead_code, reason = "only dropped")] Option<Box<Nested>>);
        let confined = Confined::default();
        let made = confined.run(64 * MEMORY, || {
            let mut nested = Nested(None);
            for _ in 0..200_000 {
                nested = Nested(Some(Box::new(nested)));
            }
            drop(nested);
        });
        assert_eq!(made, Ok(()));
    }
}
