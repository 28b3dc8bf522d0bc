//! To be written.
/// x
#[derive(Debug)]
pub struct LabelSelector;
/// x
#[derive(Debug)]
pub struct FieldSelector;
