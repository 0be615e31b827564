//! The lock of everything that is shared here: parking_lot's. In tests that shuttle runs it is shuttle's, so
//! that every order in which callers can meet at it is tried; the code that is tested is the code that ships.

#[cfg(not(test))]
pub(crate) use parking_lot::Mutex;
#[cfg(test)]
pub(crate) use scheduled::Mutex;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a lock that is poisoned fails its test")]
mod scheduled {
    use std::ops::{Deref, DerefMut};

    /// The lock of whoever runs the test.
    #[derive(Debug)]
    pub(crate) enum Mutex<T> {
        Real(parking_lot::Mutex<T>),
        Scheduled(shuttle::sync::Mutex<T>),
    }

    pub(crate) enum Guard<'a, T> {
        Real(parking_lot::MutexGuard<'a, T>),
        Scheduled(shuttle::sync::MutexGuard<'a, T>),
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            match shuttle::current::try_get_current_task() {
                None => Mutex::Real(parking_lot::Mutex::new(value)),
                Some(_) => Mutex::Scheduled(shuttle::sync::Mutex::new(value)),
            }
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            match self {
                Mutex::Real(lock) => Guard::Real(lock.lock()),
                Mutex::Scheduled(lock) => Guard::Scheduled(lock.lock().unwrap()),
            }
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Guard::Real(guard) => guard,
                Guard::Scheduled(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Guard::Real(guard) => guard,
                Guard::Scheduled(guard) => guard,
            }
        }
    }
}
