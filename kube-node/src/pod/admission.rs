//! Whether a node takes a pod in. Source: kubelet `lifecycle/predicate.go`.

use coracle_core::quantity::Quantity as Amount;
use coracle_core::quota::{Amounts, PodAmounts, pod_requests};
use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration};

use super::resize::Pending;

/// Why a node does not take a pod in: it fails at once and its owner makes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// In a word, such as `OutOfcpu`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What a pod takes of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Per resource; the pod itself is one of `pods`.
    pub amounts: Amounts,
    /// Host ports: address, protocol, port.
    pub ports: Vec<(String, String, i32)>,
}

impl Demand {
    /// What this pod takes, as its containers ask for it now.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let options = PodAmounts { held: false, overhead: true };
        let mut amounts = pod_requests(pod, options);
        amounts.set_count("pods", 1);
        Self { amounts, ports: ports(pod) }
    }
}

/// Whether this node takes this pod, given what it has taken.
///
/// # Errors
/// The first thing that stands against it, in upstream's words.
pub fn admit<'a>(
    pod: &Pod,
    demand: &Demand,
    node: &Node,
    taken: impl Iterator<Item = &'a Demand> + Clone,
) -> Result<(), Rejection> {
    if let Some(short) = short_of(demand, node, taken.clone()) {
        return Err(Rejection { reason: format!("OutOf{}", short.resource), message: short.of_rest() });
    }
    if !selects(pod, node) {
        return Err(predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"));
    }
    if demand.ports.iter().any(|port| taken.clone().any(|other| other.ports.iter().any(|one| clash(port, one)))) {
        return Err(predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports"));
    }
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or(&[]);
    let unbearable = |taint: &Taint| taint.effect == "NoExecute" && !tolerations.iter().any(|one| bears(one, taint));
    if taints.into_iter().any(unbearable) {
        return Err(predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate"));
    }
    Ok(())
}

/// Whether this node can give a pod it has what the pod asks for now.
///
/// # Errors
/// Why it does not: never, or not now.
pub fn resize<'a>(
    demand: &Demand,
    node: &Node,
    others: impl Iterator<Item = &'a Demand> + Clone,
) -> Result<(), Pending> {
    let Some(short) = short_of(demand, node, others) else { return Ok(()) };
    Err(match short.requested > short.capacity {
        true => Pending { reason: "Infeasible", message: short.of_all() },
        false => Pending { reason: "Deferred", message: short.of_rest() },
    })
}

/// The first resource of which there is not enough left.
fn short_of<'d, 'a>(
    demand: &'d Demand,
    node: &Node,
    taken: impl Iterator<Item = &'a Demand> + Clone,
) -> Option<Shortage<'d>> {
    let allocatable = Amounts::of(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
    demand.amounts.iter().find_map(|(resource, requested)| {
        let capacity = allocatable.get(resource).unwrap_or_default();
        let used: Amount = taken.clone().filter_map(|other| other.amounts.get(resource)).sum();
        let short = !requested.is_zero() && used + requested > capacity;
        short.then_some(Shortage { resource, requested, used, capacity })
    })
}

struct Shortage<'a> {
    resource: &'a str,
    requested: Amount,
    used: Amount,
    capacity: Amount,
}

impl Shortage<'_> {
    fn number(&self, amount: Amount) -> i64 {
        if self.resource == "cpu" { amount.milli_value() } else { amount.value() }
    }

    /// What lacks beside other pods.
    fn of_rest(&self) -> String {
        let [requested, used, capacity] = [self.requested, self.used, self.capacity].map(|amount| self.number(amount));
        let resource = self.resource;
        format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        )
    }

    /// What the whole node lacks.
    fn of_all(&self) -> String {
        let [requested, capacity] = [self.requested, self.capacity].map(|amount| self.number(amount));
        format!("Node didn't have enough capacity: {}, requested: {requested}, capacity: {capacity}", self.resource)
    }
}

fn predicate(name: &str, why: &str) -> Rejection {
    Rejection { reason: name.to_owned(), message: format!("Predicate {name} failed: {why}") }
}

fn ports(pod: &Pod) -> Vec<(String, String, i32)> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let address = port.host_ip.clone().filter(|address| !address.is_empty());
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((address.unwrap_or_else(|| "0.0.0.0".to_owned()), protocol, number))
    });
    named.collect()
}

fn clash(one: &(String, String, i32), other: &(String, String, i32)) -> bool {
    let any = |address: &str| matches!(address, "0.0.0.0" | "::");
    one.1 == other.1 && one.2 == other.2 && (one.0 == other.0 || any(&one.0) || any(&other.0))
}

fn bears(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or("");
    let exists = toleration.operator.as_deref() == Some("Exists");
    let effect = toleration.effect.as_deref().unwrap_or("");
    let value = |text: &Option<String>| text.clone().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || value(&toleration.value) == value(&taint.value))
}

/// Whether the pod's node selector and required node affinity choose this node.
fn selects(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    if !spec.node_selector.iter().flatten().all(|(key, value)| label(key) == Some(value)) {
        return false;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref())
        .map(|required| &required.node_selector_terms);
    required.is_none_or(|terms| terms.iter().any(|term| term_selects(term, node, &label)))
}

fn term_selects<'a>(term: &NodeSelectorTerm, node: &'a Node, label: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    let empty = term.match_expressions.is_none() && term.match_fields.is_none();
    let field = |key: &str| if key == "metadata.name" { node.metadata.name.as_deref() } else { None };
    !empty
        && term.match_expressions.iter().flatten().all(|one| holds(one, label(&one.key)))
        && term.match_fields.iter().flatten().all(|one| holds(one, field(&one.key)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let listed = |value: &str| requirement.values.iter().flatten().any(|one| one == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = requirement.values.iter().flatten().next().and_then(|text| number(text));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => value.and_then(number).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

/// A rejection's reason as a word that lives for ever, as Events want it.
#[must_use]
pub fn reason_word(reason: &str) -> &'static str {
    match reason {
        "OutOfcpu" => "OutOfcpu",
        "OutOfmemory" => "OutOfmemory",
        "OutOfpods" => "OutOfpods",
        "OutOfephemeral-storage" => "OutOfephemeral-storage",
        "NodeAffinity" => "NodeAffinity",
        "NodePorts" => "NodePorts",
        "TaintToleration" => "TaintToleration",
        _ => "UnexpectedAdmissionError",
    }
}
