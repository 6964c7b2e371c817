//! The evaluation of a certification.
