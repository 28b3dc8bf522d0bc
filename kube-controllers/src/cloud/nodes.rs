//! Nodes say what their machines are, and go when these are gone. Source: cloud-provider `controllers/node`,
//! `controllers/nodelifecycle`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Happening, Request, Severity, Target};
use k8s_openapi::api::core::v1::{Node, NodeAddress};

use super::{Cloud, Machine, is_ready};
use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::plan::{Plan, carry_out};

const CONTROLLER: &str = "cloud-node-controller";

/// The taint of nodes of which their cloud has not spoken yet.
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// Keeps nodes in step with their machines.
pub struct CloudNodes(Arc<dyn Cloud>);

impl CloudNodes {
    /// The nodes of a cloud.
    #[must_use]
    pub fn new(cloud: Arc<dyn Cloud>) -> Self {
        Self(cloud)
    }
}

#[async_trait]
impl Controller for CloudNodes {
    type Kind = Node;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    async fn reconcile(&self, node: Arc<Node>, context: &Context) -> Result<Next, Error> {
        let machine = self.0.machine(&node).await?;
        carry_out(plan(&node, machine.as_ref(), self.0.name()), context).await
    }
}

/// What follows from what the cloud says of a node.
fn plan(node: &Node, machine: Option<&Machine>, cloud: &str) -> Plan {
    let mut plan = Plan::nothing();
    if node.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let Some(machine) = machine else {
        let id = node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).unwrap_or("");
        if id.starts_with(&format!("{cloud}://")) && !is_ready(node) {
            let name = node.metadata.name.as_deref().unwrap_or("");
            let note = format!("Deleting node {name} because it does not exist in the cloud provider");
            plan.tell(Happening::new(CONTROLLER, node, Severity::Normal, "DeletingNode", note));
            plan.then(Request::delete(node));
        }
        return plan;
    };
    let mut after = node.clone();
    describe(&mut after, machine);
    if after != *node {
        let machine = machine.clone();
        plan.then(Request::edit(Target::of(node), move |node: &mut Node| {
            describe(node, &machine);
            Ok(())
        }));
    }
    let addresses = with_addresses(node, &machine.addresses);
    if node.status.as_ref().and_then(|status| status.addresses.as_ref()) != Some(&addresses) {
        let machine = machine.clone();
        plan.then(Request::edit(Target::of(node).below("status"), move |node: &mut Node| {
            let addresses = with_addresses(node, &machine.addresses);
            node.status.get_or_insert_default().addresses = Some(addresses);
            Ok(())
        }));
    }
    plan
}

fn describe(node: &mut Node, machine: &Machine) {
    let spec = node.spec.get_or_insert_default();
    spec.provider_id = Some(machine.provider_id.clone());
    if let Some(taints) = &mut spec.taints {
        taints.retain(|taint| taint.key != UNINITIALIZED);
    }
    let told = [
        ("topology.kubernetes.io/zone", &machine.zone),
        ("topology.kubernetes.io/region", &machine.region),
        ("failure-domain.beta.kubernetes.io/zone", &machine.zone),
        ("failure-domain.beta.kubernetes.io/region", &machine.region),
        ("node.kubernetes.io/instance-type", &machine.instance_type),
        ("beta.kubernetes.io/instance-type", &machine.instance_type),
    ];
    let told: BTreeMap<_, _> =
        told.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value.clone()?))).collect();
    node.metadata.labels.get_or_insert_default().extend(told);
}

/// The node's own addresses, and its machine's of other kinds.
fn with_addresses(node: &Node, machine: &[NodeAddress]) -> Vec<NodeAddress> {
    let own = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    let own: Vec<_> = own.filter(|own| !machine.iter().any(|one| one.type_ == own.type_)).cloned().collect();
    own.into_iter().chain(machine.iter().cloned()).collect()
}

impl fmt::Debug for CloudNodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CloudNodes of {}", self.0.name())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::Small;

    fn check(node: &str, machine: Option<&Machine>, expected: Expect) {
        let mut small = Small::new(&format!("{{kind: Node, {node}}}"));
        let plan = plan(&small.get("one"), machine, "simulated");
        expected.assert_eq(&small.carry_out(plan));
        if machine.is_some() {
            assert!(super::plan(&small.get("one"), machine, "simulated").is_empty(), "once is enough");
        }
    }

    #[test]
    fn nodes_say_what_their_machines_are_and_go_with_them() {
        let address = NodeAddress { type_: "ExternalIP".to_owned(), address: "203.0.113.7".to_owned() };
        let zone = Some("east-1".to_owned());
        let machine =
            Machine { provider_id: "simulated://one".to_owned(), zone, addresses: vec![address], ..Machine::default() };
        let new = "metadata: {name: one}, spec: {taints: [{key: node.cloudprovider.kubernetes.io/uninitialized, effect: \
                   NoSchedule}]}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}";
        check(
            new,
            Some(&machine),
            expect![[r#"
            edit node one labels.zone=east-1 providerID=simulated://one taints.0.effect=- taints.0.key=-
            edit node/status one addresses.1.address=203.0.113.7 addresses.1.type=ExternalIP
        "#]],
        );
        let known = |ready: &str| {
            format!(
                "metadata: {{name: one}}, spec: {{providerID: 'simulated://one'}}, status: {{conditions: [{{type: Ready, \
                 status: '{ready}'}}]}}"
            )
        };
        check(
            &known("Unknown"),
            None,
            expect![[r#"
            event DeletingNode: Deleting node one because it does not exist in the cloud provider
            delete node one
        "#]],
        );
        check(&known("True"), None, expect![[""]]);
        check(&known("Unknown").replace("simulated:", "other:"), None, expect![[""]]);
        check("metadata: {name: one}", None, expect![[""]]);
    }
}
