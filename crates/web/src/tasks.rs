//! Work that must reach its end although nobody waits for it any more. When a client disconnects, the future that
//! answers it is dropped: right for reads, but a decision may take several commits (approve, then execute), and
//! half of it would be left to the next sweep. Such work runs in this tracked set; shutdown waits for it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A tracked set of running work. Cheap to clone; all clones are one set.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Runs `work` to its end, which nobody waits for here.
    pub fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(work);
    }

    /// Runs `work` to its end, whether or not the caller stays to hear of it. `None` when it panicked.
    pub async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, hear) = oneshot::channel();
        self.begin(async move {
            // Nobody may be there to hear it: that is the point.
            let _ = done.send(work.await);
        });
        hear.await.ok()
    }

    /// Waits for everything that still runs. The caller bounds the wait.
    pub async fn drain(&self) {
        let mut set = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while set.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_ends_although_its_caller_left() {
        let tasks = Tasks::default();
        let done = Arc::new(AtomicBool::new(false));
        let (go, wait) = oneshot::channel::<()>();
        let seen = done.clone();
        let mut caller = Box::pin(tasks.finish(async move {
            wait.await.unwrap();
            seen.store(true, Ordering::SeqCst);
        }));
        // Polled once, then dropped, as when a client disconnects.
        std::future::poll_fn(|cx| {
            assert!(caller.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(caller);
        go.send(()).unwrap();
        tasks.drain().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_is_told_from_an_answer() {
        assert_eq!(Tasks::default().finish(async { 7 }).await, Some(7));
        assert_eq!(Tasks::default().finish(async { assert!(std::hint::black_box(false)) }).await, None);
    }
}
