//! Turns between tests that load the machine and tests that hold a clock to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

static MACHINE: Mutex<()> = Mutex::new(());

/// Waits for this test's turn. A crowd of processes holds it, and so does every test with a time
/// limit: a limit missed because of another test's crowd would say nothing.
pub fn machine_to_itself() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
