//! Placing pods on nodes: snapshot, queue, filters, scores, as data and functions. No I/O.
