//! Event streams (server-sent events, chapter 9.2 of the HTML standard): what they have in common, and how many are open. A
//! stream holds a connection for as long as somebody listens, so that there is a limit for each session or token (who opens
//! more is out of order) and one for the whole process, which leaves connections for everything else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;

use crate::Settings;
use crate::rate::Key;

/// Tells nginx and its kin to hand on what comes when it comes.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer that is an event stream.
pub fn response(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (BUFFERING, HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// A line without meaning, as a sign of life.
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// Says one thing after the other on a stream.
pub trait Speaker: Sized + Send + 'static {
    /// What is sent next, and who speaks after it. `None` ends the stream.
    fn next(self) -> impl Future<Output = Option<(Bytes, Self)>> + Send;
}

/// A speaker as a body: each piece is asked for when the one before it was taken, so that nothing is stored for a reader
/// that is slow or gone.
pub struct Lines<S>(Option<Next<S>>);

type Next<S> = Pin<Box<dyn Future<Output = Option<(Bytes, S)>> + Send>>;

impl<S: Speaker> Lines<S> {
    pub fn of(speaker: S) -> Lines<S> {
        Lines(Some(Box::pin(speaker.next())))
    }
}

impl<S: Speaker> http_body::Body for Lines<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = self.0.as_mut() else { return Poll::Ready(None) };
        let line = ready!(next.as_mut().poll(context)).map(|(line, speaker)| {
            self.0 = Some(Box::pin(speaker.next()));
            Ok(Frame::data(line))
        });
        if line.is_none() {
            self.0 = None;
        }
        Poll::Ready(line)
    }
}

/// Open streams of this process. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Streams {
    open: Arc<Mutex<HashMap<Key, usize>>>,
    per_key_max: usize,
    max: usize,
}

/// Why there is no place for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Key,
    Process,
}

impl Streams {
    pub fn new(settings: &Settings) -> Streams {
        Streams::of(settings.streams_per_session_max, settings.streams_max)
    }

    /// With these limits: of one session or token, and of all.
    pub fn of(per_key_max: usize, max: usize) -> Streams {
        Streams { open: Arc::default(), per_key_max, max }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of this session or token, given back when it is dropped.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn take(&self, key: Key) -> Result<Place, Full> {
        let mut open = self.open();
        if open.values().sum::<usize>() >= self.max {
            return Err(Full::Process);
        }
        let count = open.entry(key).or_default();
        if *count >= self.per_key_max {
            return Err(Full::Key);
        }
        *count += 1;
        Ok(Place { streams: self.clone(), key })
    }

    pub fn count(&self) -> usize {
        self.open().values().sum()
    }
}

/// The place of one open stream.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
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
        let of = |n| Key::Session(domain::id::SessionId::from_uuid(uuid::Uuid::from_u64_pair(1, n)));
        let held = [streams.take(of(1)).unwrap(), streams.take(of(1)).unwrap()];
        assert_eq!(streams.take(of(1)).unwrap_err(), Full::Key);
        let other = streams.take(of(2)).unwrap();
        assert_eq!(streams.take(of(3)).unwrap_err(), Full::Process);
        drop(other);
        drop(held);
        assert_eq!((streams.count(), streams.open().len()), (0, 0), "nothing is left behind");
    }
}
