//! The evidence graph.
