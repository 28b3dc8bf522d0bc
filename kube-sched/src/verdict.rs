//! Why a node does not take a pod, and why none does, in upstream's words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

/// A reason as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A text.
    Text(&'static str),
    /// Too little of a resource.
    Insufficient(Arc<str>),
    /// A text made for one pod.
    Custom(Arc<str>),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Insufficient(resource) => write!(formatter, "Insufficient {resource}"),
            Self::Custom(text) => formatter.write_str(text),
        }
    }
}

/// Why one node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// The filter that says so.
    pub plugin: &'static str,
    /// Its reasons.
    pub reasons: SmallVec<[Reason; 1]>,
    /// Whether removing pods from the node could help.
    pub resolvable: bool,
}

impl Rejection {
    /// A rejection that no removal of pods can help.
    #[must_use]
    pub fn for_good(plugin: &'static str, reason: &'static str) -> Self {
        Self { plugin, reasons: [Reason::Text(reason)].into_iter().collect(), resolvable: false }
    }

    /// A rejection that goes away when enough pods do.
    #[must_use]
    pub fn for_now(plugin: &'static str, reason: &'static str) -> Self {
        Self { resolvable: true, ..Self::for_good(plugin, reason) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.plugin)?;
        for (index, reason) in self.reasons.iter().enumerate() {
            write!(formatter, "{}{reason}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What preemption has to say about a pod that fits nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preemption {
    /// Nobody asked.
    #[default]
    NotTried,
    /// It may not preempt, and why.
    NotEligible(&'static str),
    /// No node would take it: nodes by reason.
    NoCandidate(BTreeMap<Reason, usize>),
}

/// Why no node takes a pod. Its text is the message of the `PodScheduled` condition and of the `FailedScheduling` event.
/// Source: scheduler framework `FitError`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unschedulable {
    /// How many nodes there are.
    pub nodes: usize,
    /// A reason that holds whatever the node; then there are no rejections.
    pub pod_level: Option<(&'static str, Reason)>,
    /// How many nodes each rejection holds for.
    pub rejections: Vec<(Rejection, usize)>,
    /// What preemption said.
    pub preemption: Preemption,
}

impl Unschedulable {
    /// The filters that rejected the pod somewhere, each once.
    #[must_use]
    pub fn plugins(&self) -> SmallVec<[&'static str; 4]> {
        let rejections = self.rejections.iter().map(|(rejection, _)| rejection.plugin);
        let mut plugins: SmallVec<_> = rejections.chain(self.pod_level.as_ref().map(|(plugin, _)| *plugin)).collect();
        plugins.sort_unstable();
        plugins.dedup();
        plugins
    }

    fn reasons(&self) -> BTreeMap<&Reason, usize> {
        let mut counts = BTreeMap::new();
        for (rejection, count) in &self.rejections {
            for reason in &rejection.reasons {
                *counts.entry(reason).or_default() += count;
            }
        }
        counts
    }
}

impl fmt::Display for Unschedulable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return formatter.write_str("no nodes available to schedule pods");
        }
        match &self.pod_level {
            Some((_, reason)) => write!(formatter, "0/{} nodes are available: {reason}.", self.nodes)?,
            None => write_histogram(formatter, self.nodes, self.reasons().into_iter())?,
        }
        // Upstream's DynamicResources speaks first, even of pods without claims.
        match &self.preemption {
            Preemption::NotTried => Ok(()),
            Preemption::NotEligible(why) => write!(formatter, " no new claims to deallocate, preemption: {why}"),
            Preemption::NoCandidate(reasons) => {
                formatter.write_str(" no new claims to deallocate, preemption: ")?;
                write_histogram(formatter, self.nodes, reasons.iter().map(|(reason, count)| (reason, *count)))
            }
        }
    }
}

fn write_histogram<'a>(
    formatter: &mut fmt::Formatter<'_>,
    nodes: usize,
    reasons: impl Iterator<Item = (&'a Reason, usize)>,
) -> fmt::Result {
    let mut lines: Vec<_> = reasons.map(|(reason, count)| format!("{count} {reason}")).collect();
    lines.sort_unstable();
    write!(formatter, "0/{nodes} nodes are available: {}.", lines.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unschedulable() -> Unschedulable {
        let insufficient = |name: &str| Reason::Insufficient(name.into());
        let fit = Rejection {
            plugin: "NodeResourcesFit",
            reasons: [insufficient("cpu"), insufficient("memory")].into_iter().collect(),
            resolvable: true,
        };
        let cpu_only = Rejection { reasons: [insufficient("cpu")].into_iter().collect(), ..fit.clone() };
        let taint = Rejection::for_good("TaintToleration", "node(s) had untolerated taint(s)");
        let preemption = [
            (Reason::Text("Preemption is not helpful for scheduling"), 1),
            (Reason::Text("No preemption victims found for incoming pod"), 12),
        ];
        Unschedulable {
            nodes: 13,
            rejections: vec![(fit, 2), (cpu_only, 10), (taint, 1)],
            preemption: Preemption::NoCandidate(preemption.into_iter().collect()),
            ..Unschedulable::default()
        }
    }

    #[test]
    fn reasons_are_counted_per_node_and_sorted_as_text() {
        assert_eq!(
            unschedulable().to_string(),
            "0/13 nodes are available: 1 node(s) had untolerated taint(s), 12 Insufficient cpu, 2 Insufficient memory. \
             no new claims to deallocate, preemption: 0/13 nodes are available: 1 Preemption is not helpful for \
             scheduling, 12 No preemption victims found for incoming pod."
        );
        assert_eq!(unschedulable().plugins().as_slice(), ["NodeResourcesFit", "TaintToleration"]);
    }

    #[test]
    fn other_causes_have_their_own_words() {
        assert_eq!(Unschedulable::default().to_string(), "no nodes available to schedule pods");
        let mut one = unschedulable();
        one.preemption = Preemption::NotEligible("not eligible due to preemptionPolicy=Never.");
        one.pod_level = Some(("NodeAffinity", Reason::Text("pod affinity terms conflict")));
        assert_eq!(
            one.to_string(),
            "0/13 nodes are available: pod affinity terms conflict. no new claims to deallocate, preemption: not eligible \
             due to preemptionPolicy=Never."
        );
    }
}
