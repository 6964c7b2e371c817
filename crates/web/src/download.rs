//! Files that are sent while they are read, so that a log of any length can be downloaded and nothing of it is kept.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::Fault;
use engine::log::LogBundle;
use http_body::Frame;

type Next = Pin<Box<dyn Future<Output = (LogBundle, Result<Option<String>, Fault>)> + Send>>;

/// The rest of a bundle, of which each piece is asked for when the one before it was taken.
struct Pieces(Option<Next>);

fn next(mut bundle: LogBundle) -> Next {
    Box::pin(async move {
        let piece = bundle.next().await;
        (bundle, piece)
    })
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(asked) = self.0.as_mut() else { return Poll::Ready(None) };
        let (bundle, piece) = ready!(asked.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(match piece {
            Ok(None) => None,
            Ok(Some(text)) => {
                self.0 = Some(next(bundle));
                Some(Ok(Frame::data(Bytes::from(text))))
            }
            Err(fault) => {
                tracing::error!("an export of the log was broken off: {fault}");
                Some(Err(fault))
            }
        })
    }
}

/// The answer that a browser keeps as a file.
pub fn log_bundle(bundle: LogBundle) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.bundle\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Body::new(Pieces(Some(next(bundle))))).into_response()
}
