//! Connections: how many there may be, how long a client may take to say what it wants, and how they end. Bodies have
//! their own time limits in `web`. Plain HTTP/1.1; a proxy in front adds TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// Pause after the system could not accept a connection, as when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What bounds connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections open at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Time for the head of a request, and time an idle connection is kept.
    pub head_wait: Duration,
}

/// Serves until `stopped` says so, then ends idle connections and waits for the running requests of the others. The
/// caller bounds that wait.
pub async fn run(listener: TcpListener, app: Router, bounds: Bounds, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = accepted => accepted,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, from))) => {
                let served = connection(stream, from, app.clone(), bounds, stopped.clone());
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), Ok(_)) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    app: Router,
    bounds: Bounds,
    mut stopped: watch::Receiver<bool>,
) {
    // Without it, an answer in two parts waits for the acknowledgement of the first.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request: Request<Incoming>| answer(app.clone(), request, from));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_wait)
        .serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    // An error here is a client that went away, was too slow, or does not speak HTTP: nothing to tell anybody.
    let asked = async { drop(stopped.wait_for(|stop| *stop).await) };
    tokio::select! {
        ended = served.as_mut() => drop(ended),
        () = asked => {
            served.as_mut().graceful_shutdown();
            drop(served.await);
        }
    }
}

async fn answer(app: Router, request: Request<Incoming>, from: SocketAddr) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(from));
    app.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start(
        connections_max: usize,
        head_wait: Duration,
    ) -> (SocketAddr, watch::Sender<bool>, impl Future<Output = ()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let from = async |ConnectInfo(from): ConnectInfo<SocketAddr>| from.ip().to_string();
        let app = Router::new().route("/", get(from));
        let (stop, stopped) = watch::channel(false);
        (address, stop, run(listener, app, Bounds { connections_max, head_wait }, stopped))
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut bytes = [0_u8; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(bytes.get(..read).unwrap()).into_owned()
    }

    #[tokio::test]
    async fn requests_are_answered_and_know_their_address() {
        let (address, stop, served) = start(10, Duration::from_secs(30)).await;
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for _ in 0..2 {
                assert!(ask(&mut stream).await.ends_with("127.0.0.1"));
            }
            stop.send_replace(true);
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "an idle connection is ended");
        };
        tokio::join!(served, client);
    }

    #[tokio::test]
    async fn slow_heads_are_cut_off_and_free_their_place() {
        let (address, stop, served) = start(1, Duration::from_millis(50)).await;
        let client = async {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(b"GET / HT").await.unwrap();
            let mut next = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut next).await.ends_with("127.0.0.1"), "served when the slow one has been cut off");
            drop(next);
            stop.send_replace(true);
        };
        tokio::join!(served, client);
    }
}
