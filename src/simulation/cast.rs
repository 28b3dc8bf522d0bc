//! The parts of a simulated cluster that come and go: controllers, scheduler, nodes.

use std::sync::Arc;
use std::time::Duration;

use coracle_controllers::ErasedController;
use coracle_core::{Entropy, Gateway};
use coracle_node::agent::{Node, Router};
use coracle_node::runtimes::SimulatedRuntime;
use coracle_sched::{DEFAULT_SCHEDULER, Framework};
use tokio::sync::Notify;

use super::party::Party;
use crate::driver::Driver;
use crate::parts::Group;
use crate::scheduling::{self, SharedSnapshot};

/// What every part stands on.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) chance: Arc<Entropy>,
    pub(super) lag: Duration,
    pub(super) heartbeat: Duration,
}

/// One life of a part: from a start to an end, wherever it is then.
pub(super) struct Life {
    pub(super) party: Arc<Party>,
    group: Group,
}

impl Life {
    fn new(ground: &Ground, stopped: &Arc<Notify>) -> Self {
        let party = Arc::new(Party::new(&ground.gateway, &ground.chance, ground.lag, stopped));
        let group = Group::default();
        group.spawn(party.clone().pump());
        Self { party, group }
    }

    fn gateway(&self) -> Arc<dyn Gateway> {
        self.party.clone()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.group.stop.cancel();
    }
}

/// Starts controllers, which remember nothing of a life before.
pub(super) fn controllers(ground: &Ground, controllers: Vec<Box<dyn ErasedController>>, stopped: &Arc<Notify>) -> Life {
    let life = Life::new(ground, stopped);
    Driver::start(controllers, &life.gateway(), &life.group);
    life
}

/// Starts the default scheduler.
pub(super) fn scheduler(ground: &Ground, stopped: &Arc<Notify>) -> Life {
    let life = Life::new(ground, stopped);
    let framework = Box::new(Framework::new(ground.chance.next()));
    let name = DEFAULT_SCHEDULER.to_owned();
    life.group.spawn(scheduling::run(name, framework, life.gateway(), SharedSnapshot::default()));
    life
}

/// A machine: a runtime whose containers go on when the node agent does not, and end when the power does.
pub(super) struct Machine {
    pub(super) name: Arc<str>,
    runtime: SimulatedRuntime,
    pub(super) life: Option<Life>,
}

impl Machine {
    pub(super) fn new(number: usize, family: &SimulatedRuntime) -> Self {
        Self { name: format!("node-{number}").into(), runtime: family.sibling(), life: None }
    }

    /// Starts the node agent, again and again if it cannot register.
    pub(super) fn start(&mut self, ground: &Ground) {
        let life = Life::new(ground, &Arc::default());
        let router = Arc::new(Router::new(life.gateway()).heartbeat(ground.heartbeat));
        let (routing, never) = (router.clone(), tokio_util::sync::CancellationToken::new());
        life.group.spawn({
            let never = never.clone();
            async move { routing.run(never).await }
        });
        let node = Node::new(self.name.clone(), self.runtime.clone()).without_files();
        let node = node.capacity("cpu", "32").capacity("memory", "128Gi").capacity("pods", "110");
        let gateway = life.gateway();
        life.group.spawn(async move {
            while node.clone().run(gateway.clone(), router.clone(), never.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        self.life = Some(life);
    }

    /// Ends the agent; the containers go on.
    pub(super) fn stop(&mut self) {
        self.life = None;
    }

    /// Ends the agent and everything that ran.
    pub(super) fn power_off(&mut self) {
        self.life = None;
        self.runtime = self.runtime.sibling();
    }
}
