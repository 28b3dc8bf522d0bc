//! The running parts of a cluster, in the order in which they may be stopped.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that are stopped together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Group {
    /// Runs a part until the group is stopped; it is dropped then, wherever it is.
    pub(crate) fn spawn(&self, part: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(part));
    }

    /// Stops the group and waits for its tasks; says how many are left when patience runs out.
    async fn end(&self, patience: Duration) -> usize {
        self.stop.cancel();
        self.tasks.close();
        let _in_time = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.tasks.len()
    }
}

/// All tasks of a cluster.
///
/// Those that decide stop first, so that nothing is started anew; then the nodes, which end their pods and say so; last what
/// both need, the way from the store to the world.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) deciders: Group,
    pub(crate) nodes: Group,
    pub(crate) base: Group,
}

impl Parts {
    /// Stops everything in order; says how many tasks did not end in time.
    pub(crate) async fn end(&self, patience: Duration) -> usize {
        let mut left = 0;
        for group in [&self.deciders, &self.nodes, &self.base] {
            left += group.end(patience).await;
        }
        left
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for group in [&self.deciders, &self.nodes, &self.base] {
            group.stop.cancel();
        }
    }
}
