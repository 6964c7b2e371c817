//! How many event streams are open, and how many answers a language model is writing. A stream holds a connection for as long as its page is looked at, so that there is a
//! limit for each session (a browser that opens more is out of order) and one for the whole process, which leaves
//! connections for everything else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::SessionId;

use crate::Settings;

/// Open streams of this process. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Streams {
    open: Arc<Mutex<HashMap<SessionId, usize>>>,
    per_session_max: usize,
    max: usize,
}

/// Why there is no place for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Session,
    Process,
}

impl Streams {
    pub fn new(settings: &Settings) -> Streams {
        Streams::of(settings.streams_per_session_max, settings.streams_max)
    }

    /// With these limits: of one session, and of all.
    pub fn of(per_session_max: usize, max: usize) -> Streams {
        Streams { open: Arc::default(), per_session_max, max }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of this session, given back when it is dropped.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn take(&self, session: SessionId) -> Result<Place, Full> {
        let mut open = self.open();
        if open.values().sum::<usize>() >= self.max {
            return Err(Full::Process);
        }
        let count = open.entry(session).or_default();
        if *count >= self.per_session_max {
            return Err(Full::Session);
        }
        *count += 1;
        Ok(Place { streams: self.clone(), session })
    }

    pub fn count(&self) -> usize {
        self.open().values().sum()
    }
}

/// The place of one open stream.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    session: SessionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        if let Some(count) = open.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_by_session_and_together_and_come_back() {
        let settings = Settings { streams_per_session_max: 2, streams_max: 3, ..Settings::default() };
        let streams = Streams::new(&settings);
        let of = |n| SessionId::from_uuid(uuid::Uuid::from_u64_pair(1, n));
        let held = [streams.take(of(1)).unwrap(), streams.take(of(1)).unwrap()];
        assert_eq!(streams.take(of(1)).unwrap_err(), Full::Session);
        let other = streams.take(of(2)).unwrap();
        assert_eq!(streams.take(of(3)).unwrap_err(), Full::Process);
        drop(other);
        drop(held);
        assert_eq!((streams.count(), streams.open().len()), (0, 0), "nothing is left behind");
    }
}
