//! Controllers: the trait, and one planner per kind. No I/O.
