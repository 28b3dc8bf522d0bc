//! Plugin ImageLocality: a node that has the images starts sooner.

use std::sync::Arc;

use super::{Rate, SCORE_MAX, Score};
use crate::shape::Shape;
use crate::snapshot::Snapshot;

const MEGABYTE: i64 = 1024 * 1024;
/// Less than this is quick to fetch.
const BYTES_MIN: i64 = 23 * MEGABYTE;
/// More than this per container is not worth telling apart.
const BYTES_MAX_PER_CONTAINER: i64 = 1000 * MEGABYTE;

/// Prefers nodes that have the pod's images, by size, and less so if few nodes have them, lest pods crowd there.
/// Source: plugin ImageLocality.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageLocality;

impl Score for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn stamp(&self, shape: &Shape, cluster: &Snapshot) -> u64 {
        if shape.images.iter().any(|image| cluster.image(image).is_some()) { cluster.images_revision() } else { 0 }
    }

    fn prepare(&self, shape: &Arc<Shape>, cluster: &Snapshot) -> Option<Rate> {
        let worth = |image: &String| Some((image.clone(), worth(cluster.image(image)?, cluster.node_count())));
        let images: Vec<_> = shape.images.iter().filter_map(worth).collect();
        let bytes_max = BYTES_MAX_PER_CONTAINER * i64::try_from(shape.image_count).unwrap_or(1);
        if images.is_empty() {
            return None;
        }
        Some(Box::new(move |node| {
            let held =
                images.iter().filter(|(image, _)| node.images.binary_search_by(|held| (**held).cmp(image)).is_ok());
            let bytes: i64 = held.map(|(_, bytes)| bytes).sum();
            SCORE_MAX * (bytes.clamp(BYTES_MIN, bytes_max) - BYTES_MIN) / (bytes_max - BYTES_MIN)
        }))
    }
}

/// An image's bytes, scaled by the share of nodes that have it.
fn worth(image: crate::snapshot::ImageState, nodes: usize) -> i64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "upstream's arithmetic")]
    let worth = (image.size_bytes as f64 * (image.nodes as f64 / nodes.max(1) as f64)) as i64;
    worth
}
