//! The rankings of the shapes that were asked for lately.

use std::collections::HashMap;
use std::sync::Arc;

use crate::framework::Plugins;
use crate::ranking::Ranking;
use crate::shape::Shape;
use crate::snapshot::Snapshot;

/// How many nodes all rankings together may remember: at about 30 bytes each, half a gigabyte.
const NODES_MAX: usize = 16_000_000;

/// Rankings by shape, the least lately used forgotten first.
#[derive(Default)]
pub(crate) struct Rankings {
    /// By the address of the shape, which the entry's own handle keeps from being given to another one.
    known: HashMap<usize, Entry>,
    nodes: usize,
    uses: u64,
}

struct Entry {
    shape: Arc<Shape>,
    ranking: Ranking,
    used: u64,
}

impl Rankings {
    /// The current ranking for a shape.
    pub(crate) fn current(&mut self, plugins: &Plugins, shape: &Arc<Shape>, cluster: &Snapshot) -> &Ranking {
        self.uses += 1;
        if self.nodes + cluster.places() > NODES_MAX {
            self.forget_half();
        }
        let nodes = &mut self.nodes;
        let refresh = |entry: &mut Entry| {
            *nodes -= entry.ranking.size();
            entry.ranking.refresh(plugins, &entry.shape, cluster);
            *nodes += entry.ranking.size();
        };
        let make = || {
            let ranking = Ranking::new(plugins, shape, cluster);
            Entry { shape: shape.clone(), ranking, used: 0 }
        };
        let mut made = false;
        let known = self.known.entry(address(shape)).and_modify(refresh);
        let entry = known.or_insert_with(|| {
            made = true;
            make()
        });
        if made {
            self.nodes += entry.ranking.size();
        }
        entry.used = self.uses;
        &entry.ranking
    }

    fn forget_half(&mut self) {
        let mut uses: Vec<_> = self.known.values().map(|entry| entry.used).collect();
        let middle = uses.len() / 2;
        let (_, median, _) = uses.select_nth_unstable(middle);
        let median = *median;
        self.known.retain(|_, entry| entry.used > median);
        self.nodes = self.known.values().map(|entry| entry.ranking.size()).sum();
    }
}

fn address(shape: &Arc<Shape>) -> usize {
    Arc::as_ptr(shape).addr()
}
