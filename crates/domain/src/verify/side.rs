//! Lines looked at side by side: by themselves on several threads, and taken in order by the one that judges them.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::line::{Checked, check};
use crate::note::Verify;

/// Lines that a thread is given at once: few enough to stay near the processor, many enough that handing them over costs
/// nothing beside looking at them.
const BATCH_LINES: usize = 256;
/// Bytes at which a thread is given no more lines at once, so that a file of the longest lines is not held in memory.
const BATCH_BYTES: usize = 1024 * 1024;
/// Batches that a thread has before it at most.
const AHEAD: usize = 2;

struct Worker<L> {
    lines: SyncSender<Vec<L>>,
    found: Receiver<Vec<Checked>>,
}

/// The next lines; none at the end.
fn batch<L: AsRef<str>, E>(lines: &mut impl Iterator<Item = Result<L, E>>) -> Result<Vec<L>, E> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_LINES
        && bytes < BATCH_BYTES
        && let Some(line) = lines.next().transpose()?
    {
        bytes += line.as_ref().len();
        batch.push(line);
    }
    Ok(batch)
}

/// [`check`]s each of the lines after the first on so many threads, and gives what was found to `take` in their order. With one
/// thread it is the caller's own.
///
/// # Errors
/// The first that `lines` gives. What lies before it need not have been taken.
pub fn check_each<L, E>(
    mut lines: impl Iterator<Item = Result<L, E>>,
    threads: NonZero<usize>,
    with: &(dyn Verify + Sync),
    mut take: impl FnMut(Checked),
) -> Result<(), E>
where
    L: AsRef<str> + Send,
{
    let threads = threads.get();
    if threads == 1 {
        return lines.try_for_each(|line| {
            take(check(line?.as_ref(), with));
            Ok(())
        });
    }
    std::thread::scope(|scope| {
        let work = |_| {
            let (lines, given) = sync_channel::<Vec<L>>(AHEAD);
            let (tell, found) = sync_channel(AHEAD);
            scope.spawn(move || {
                for batch in given {
                    let checked = batch.iter().map(|line| check(line.as_ref(), with)).collect();
                    if tell.send(checked).is_err() {
                        break;
                    }
                }
            });
            Worker { lines, found }
        };
        let workers: Vec<Worker<L>> = (0..threads).map(work).collect();
        // In turn, so that the order of the batches is that of the lines.
        let mut to_give = workers.iter().cycle();
        let mut to_take = workers.iter().cycle();
        let mut under_way = 0;
        let mut taken = |worker: Option<&Worker<L>>| {
            // A thread that panics is not waited for: its panic is the scope's.
            worker.into_iter().flat_map(|worker| worker.found.recv()).flatten().for_each(&mut take);
        };
        loop {
            let batch = batch(&mut lines)?;
            if batch.is_empty() {
                break;
            }
            if under_way == threads * AHEAD {
                taken(to_take.next());
                under_way -= 1;
            }
            if let Some(worker) = to_give.next()
                && worker.lines.send(batch).is_ok()
            {
                under_way += 1;
            }
        }
        for worker in to_take.take(under_way) {
            taken(Some(worker));
        }
        Ok(())
    })
}
