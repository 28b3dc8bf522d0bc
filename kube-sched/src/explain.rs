//! Why a pod goes where it goes, or nowhere: node by node, for people.

use std::fmt;
use std::sync::Arc;

use crate::framework::Framework;
use crate::plugins::Scale;
use crate::pod::PodInfo;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::topology::Topology;
use crate::verdict::Rejection;

/// What every node says to a pod, the best first.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The pod as `namespace/name`.
    pub pod: String,
    /// The nodes: those that take it by total score, then the others by name.
    pub nodes: Vec<NodeVerdict>,
}

/// What one node says.
#[derive(Clone, Debug)]
pub struct NodeVerdict {
    /// Its name.
    pub node: Arc<str>,
    /// The scores, or every rejection (where the scheduler stops at the first).
    pub verdict: Result<Scores, Vec<Rejection>>,
}

/// A node's scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// The weighted sum.
    pub total: i64,
    /// Plugin, weight and score from 0 to 100. What other pods mean for a node comes last, as one weighted sum.
    pub parts: Vec<(&'static str, i64, i64)>,
}

/// Asks every plugin about every node. Changes nothing, keeps nothing; for questions, not for scheduling.
#[must_use]
pub fn explain(framework: &Framework, pod: &PodInfo, cluster: &Snapshot) -> Explanation {
    let topology = Topology::prepare(pod, cluster);
    let (mut taking, mut rejecting) = (Vec::new(), Vec::new());
    for (_, node) in cluster.nodes() {
        let rejections = rejections(framework, pod, node, topology.as_ref());
        if rejections.is_empty() { taking.push(node) } else { rejecting.push((node, rejections)) }
    }
    let scores = scores(framework, pod, cluster, &taking, topology.as_ref());
    let verdict = |(node, scores): (&NodeInfo, Scores)| NodeVerdict { node: node.name().clone(), verdict: Ok(scores) };
    let mut nodes: Vec<_> = taking.into_iter().zip(scores).collect();
    nodes.sort_by(|(one, left), (other, right)| right.total.cmp(&left.total).then(one.name().cmp(other.name())));
    rejecting.sort_by(|(one, _), (other, _)| one.name().cmp(other.name()));
    let rejected =
        rejecting.into_iter().map(|(node, why)| NodeVerdict { node: node.name().clone(), verdict: Err(why) });
    let nodes = nodes.into_iter().map(verdict).chain(rejected).collect();
    Explanation { pod: format!("{}/{}", pod.namespace(), pod.name()), nodes }
}

fn rejections(framework: &Framework, pod: &PodInfo, node: &NodeInfo, topology: Option<&Topology>) -> Vec<Rejection> {
    let checks = framework.plugins().filters.iter().filter_map(|filter| filter.prepare(&pod.shape));
    let mut rejections: Vec<_> = checks.filter_map(|check| check(node).err()).collect();
    rejections.extend(topology.and_then(|topology| topology.check(node).err()));
    rejections
}

fn scores(
    framework: &Framework,
    pod: &PodInfo,
    cluster: &Snapshot,
    nodes: &[&NodeInfo],
    topology: Option<&Topology>,
) -> Vec<Scores> {
    let mut all = vec![Scores::default(); nodes.len()];
    for score in &framework.plugins().scores {
        let Some(rate) = score.prepare(&pod.shape, cluster) else { continue };
        let raws: Vec<i64> = nodes.iter().map(|node| rate(node)).collect();
        let largest = raws.iter().copied().max().unwrap_or(0);
        for (scores, raw) in all.iter_mut().zip(raws) {
            let scaled = if score.scale() == Scale::AsIs { raw } else { score.scale().apply(raw, largest) };
            scores.parts.push((score.name(), score.weight(), scaled));
            scores.total += score.weight() * scaled;
        }
    }
    for (scores, sum) in all.iter_mut().zip(topology.map(|topology| topology.rate(nodes)).unwrap_or_default()) {
        scores.parts.push(("PodTopologySpread and InterPodAffinity", 1, sum));
        scores.total += sum;
    }
    all
}

impl fmt::Display for Explanation {
    /// One line per node.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taking = self.nodes.iter().filter(|node| node.verdict.is_ok()).count();
        writeln!(formatter, "{}: {taking} of {} nodes take it", self.pod, self.nodes.len())?;
        for NodeVerdict { node, verdict } in &self.nodes {
            match verdict {
                Ok(scores) => {
                    let part = |(plugin, weight, score): &(&str, i64, i64)| format!("{plugin} {weight}x{score}");
                    let parts: Vec<_> = scores.parts.iter().map(part).collect();
                    writeln!(formatter, "  {node}: {} = {}", scores.total, parts.join(" + "))?;
                }
                Err(rejections) => {
                    let texts: Vec<_> = rejections.iter().map(ToString::to_string).collect();
                    writeln!(formatter, "  {node}: {}", texts.join("; "))?;
                }
            }
        }
        Ok(())
    }
}
